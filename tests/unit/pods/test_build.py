"""The Pods as they are created: whole, and the promises that each of them keeps."""

from dataclasses import replace

import pytest
import yaml

from gradient_operator.api.workflow import Policy
from gradient_operator.engine.model import VolumeRecord
from gradient_operator.pods.build import build_pod
from gradient_operator.pods.request import (
    BlobCache,
    ClaimedInput,
    FetchedInput,
    Settings,
    StringValue,
)
from tests.builders import DIGEST, make_workflow
from tests.unit.pods.cases import CASES, COPIED, GOLDEN, GPU, HELD, STORAGE, checkout, request


def main_of(pod):
    return pod["spec"]["containers"][0]


def env_of(pod):
    return {item["name"]: item for item in main_of(pod)["env"]}


@pytest.mark.parametrize("name", CASES)
def test_a_pod_looks_as_it_was_reviewed(name):
    golden = yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())
    assert build_pod(CASES[name]) == golden


def test_every_golden_pod_has_its_case():
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_same_request_always_gives_the_same_pod(name):
    assert yaml.safe_dump(build_pod(CASES[name])) == yaml.safe_dump(build_pod(CASES[name]))


def test_a_limit_of_the_outputs_bounds_them_and_is_kept_free_for_them():
    policy = Policy(outputs_size="20Gi")
    pod = build_pod(request(make_workflow().job("a").container(), policy=policy))
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["outputs"] == {"name": "outputs", "emptyDir": {"sizeLimit": "20Gi"}}
    assert volumes["inputs"] == {"name": "inputs", "emptyDir": {}}
    assert main_of(pod)["resources"]["requests"]["ephemeral-storage"] == "20Gi"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
class TestPromises:
    def test_a_users_container_has_neither_token_nor_storage_credentials(self, case):
        pod = build_pod(case)
        assert pod["spec"]["automountServiceAccountToken"] is False
        mounted = {mount["name"] for mount in main_of(pod)["volumeMounts"]}
        secrets = {
            volume["name"]
            for volume in pod["spec"]["volumes"]
            if {"secret", "projected"} & volume.keys()
        }
        assert not mounted & secrets
        assert not any("STORAGE" in name or "AWS" in name for name in env_of(pod))

    def test_no_webhook_of_a_cloud_gives_a_users_container_an_identity(self, case):
        annotations = build_pod(case)["metadata"]["annotations"]
        assert annotations["eks.amazonaws.com/skip-containers"] == "main"
        assert annotations["azure.workload.identity/skip-containers"] == "main"

    def test_no_address_of_a_service_reaches_the_environment(self, case):
        assert build_pod(case)["spec"]["enableServiceLinks"] is False

    def test_the_uploader_is_the_last_helper_and_alone_lives_beside_main(self, case):
        helpers = build_pod(case)["spec"].get("initContainers", [])
        policies = [(helper["name"], helper.get("restartPolicy")) for helper in helpers]
        assert policies in (
            [],
            [("fetch", None)],
            [("fetch", None), ("uploader", "Always")],
            [("uploader", "Always")],
        )

    def test_every_mount_has_its_volume_and_no_two_paths_are_equal(self, case):
        spec = build_pod(case)["spec"]
        volumes = [volume["name"] for volume in spec["volumes"]]
        assert len(volumes) == len(set(volumes))
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            mounts = container["volumeMounts"]
            assert {mount["name"] for mount in mounts} <= set(volumes)
            assert len({mount["mountPath"] for mount in mounts}) == len(mounts)

    def test_a_failures_last_lines_come_with_the_status(self, case):
        assert main_of(build_pod(case))["terminationMessagePolicy"] == "FallbackToLogsOnError"

    def test_it_is_never_restarted_and_belongs_to_its_run(self, case):
        pod = build_pod(case)
        assert pod["spec"]["restartPolicy"] == "Never"
        assert [owner["uid"] for owner in pod["metadata"]["ownerReferences"]] == [case.run.uid]


class TestText:
    """What a user writes reaches the program exactly so; Kubernetes would expand some of it."""

    def test_dollars_are_literal_in_arguments_command_and_environment(self):
        builder = make_workflow().job("a").container(command=["$(A)"], args=["$A", "$$", "$(B)"])
        main = main_of(build_pod(request(builder.env(A="$(HOME)"))))
        assert main["command"] == ["$$(A)"]
        assert main["args"] == ["$$A", "$$$$", "$$(B)"]
        assert {"name": "A", "value": "$$(HOME)"} in main["env"]

    def test_a_jobs_own_variable_wins_over_an_injected_one(self):
        pod = build_pod(request(make_workflow().job("a").env(PROJECT_ID="mine")))
        assert env_of(pod)["PROJECT_ID"]["value"] == "mine"

    def test_secrets_are_references(self):
        pod = build_pod(request(make_workflow().job("a").env(T="secret:KEY")))
        assert env_of(pod)["T"] == {
            "name": "T",
            "valueFrom": {"secretKeyRef": {"name": "gradient-secrets", "key": "KEY"}},
        }

    def test_strings_travel_in_annotations_by_index(self):
        inputs = (StringValue("note", "$x"), StringValue("other", ""))
        pod = build_pod(request(make_workflow().job("a"), inputs=inputs))
        assert pod["metadata"]["annotations"]["string.gradient.run/0"] == "$x"
        assert pod["metadata"]["annotations"]["string.gradient.run/1"] == ""
        places = {
            mount["mountPath"]: mount["subPath"]
            for mount in main_of(pod)["volumeMounts"]
            if mount["name"] == "strings"
        }
        assert places == {"/inputs/note": "0", "/inputs/other": "1"}


class TestHelpers:
    def test_a_plain_job_has_none_and_half_a_minute_to_stop(self):
        spec = build_pod(request(make_workflow().job("a")))["spec"]
        assert "initContainers" not in spec
        assert spec["terminationGracePeriodSeconds"] == 30

    def test_inputs_alone_need_no_uploader(self):
        builder = make_workflow().job("a")
        pod = build_pod(request(builder, inputs=(FetchedInput("d", DIGEST),), storage=STORAGE))
        assert [helper["name"] for helper in pod["spec"]["initContainers"]] == ["fetch"]
        assert pod["spec"]["terminationGracePeriodSeconds"] == 30

    def test_a_volume_on_a_claim_is_not_uploaded(self):
        pod = build_pod(request(checkout(), volumes={"repo": HELD}))
        assert "initContainers" not in pod["spec"]

    def test_a_copied_volume_is_uploaded(self):
        pod = build_pod(request(checkout(), volumes={"repo": COPIED}, storage=STORAGE))
        assert [helper["name"] for helper in pod["spec"]["initContainers"]] == ["uploader"]

    def test_they_cannot_be_without_storage(self):
        with pytest.raises(ValueError, match="needs a storage provider"):
            build_pod(request(make_workflow().job("a").makes("s", "string")))

    def test_datasets_are_read_only_and_copies_are_not(self):
        inputs = (FetchedInput("d", DIGEST), FetchedInput("v", DIGEST, writable=True))
        pod = build_pod(request(make_workflow().job("a"), inputs=inputs, storage=STORAGE))
        mounts = {mount["mountPath"]: mount for mount in main_of(pod)["volumeMounts"]}
        assert mounts["/inputs/d"]["readOnly"] is True
        assert mounts["/inputs/v"]["readOnly"] is False


class TestCacheOfTheNode:
    SETTINGS = Settings(helper_image="example.org/operator:1", blob_cache=BlobCache("/data", 2**30))

    def pod(self, **changes):
        builder = make_workflow().job("a").makes("m", "dataset", "models")
        inputs = (FetchedInput("d", DIGEST),)
        settings = {"settings": self.SETTINGS, "inputs": inputs, "storage": STORAGE}
        return build_pod(request(builder, **(settings | changes)))

    def folder(self, **changes):
        volumes = {volume["name"]: volume for volume in self.pod(**changes)["spec"]["volumes"]}
        return volumes["blob-cache"]["hostPath"]["path"]

    def test_only_the_container_that_fetches_sees_it(self):
        spec = self.pod()["spec"]
        seeing = [
            container["name"]
            for container in spec["initContainers"] + spec["containers"]
            if any(mount["name"] == "blob-cache" for mount in container["volumeMounts"])
        ]
        assert seeing == ["fetch"]

    def test_each_namespace_and_place_in_a_bucket_has_its_own_folder(self):
        other = replace(request(make_workflow().job("a")).run, namespace="other")
        folders = {
            self.folder(),
            self.folder(run=other),
            self.folder(storage=replace(STORAGE, bucket="other")),
            self.folder(storage=replace(STORAGE, prefix="other")),
            self.folder(storage=replace(STORAGE, endpoint="https://other.example.org")),
        }
        assert len(folders) == 5
        assert all(folder.startswith("/data/") for folder in folders)
        assert self.folder() == self.folder(storage=replace(STORAGE, secret="renamed"))

    def test_jobs_that_fetch_nothing_have_none(self):
        volumes = self.pod(inputs=())["spec"]["volumes"]
        assert not any("hostPath" in volume for volume in volumes)


class TestPlace:
    def test_gpus_are_limits_and_select_their_nodes(self):
        pod = build_pod(request(make_workflow().job("a").on("A100x2"), machine=GPU))
        assert main_of(pod)["resources"]["limits"]["nvidia.com/gpu"] == "2"
        assert pod["spec"]["nodeSelector"] == {"gradient.run/pool": "gpu"}
        assert pod["spec"]["tolerations"][0]["key"] == "nvidia.com/gpu"

    def test_users_of_a_held_claim_meet_on_its_node(self):
        pod = build_pod(request(checkout(), volumes={"repo": HELD}, held_claims=(HELD.claim,)))
        label = f"volume.gradient.run/{HELD.claim}"
        assert label in pod["metadata"]["labels"]
        terms = pod["spec"]["affinity"]["podAffinity"]
        assert terms["requiredDuringSchedulingIgnoredDuringExecution"] == [
            {
                "labelSelector": {"matchExpressions": [{"key": label, "operator": "Exists"}]},
                "topologyKey": "kubernetes.io/hostname",
            }
        ]

    def test_a_claim_that_is_mounted_twice_is_one_volume(self):
        inputs = (ClaimedInput("a", "claim"), ClaimedInput("b", "claim", read_only=True))
        builder = make_workflow().job("x").makes("o", "volume")
        volumes = {"o": VolumeRecord("ReadWriteMany", "", "claim")}
        pod = build_pod(request(builder, inputs=inputs, volumes=volumes))
        claims = [volume for volume in pod["spec"]["volumes"] if "persistentVolumeClaim" in volume]
        assert len(claims) == 1
