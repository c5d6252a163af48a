"""Dataset versions, strings and models: visible only when their job has succeeded."""

import json

import pytest

from gradient_operator.kube.errors import NotFound
from gradient_operator.kube.resources import (
    DATASET_VERSIONS,
    DATASETS,
    MODELS,
    SECRETS,
    STORAGE_PROVIDERS,
)
from gradient_operator.workflow.references import version_id
from tests.builders import DIGEST, make_workflow
from tests.integration.operator.kubelet import MACHINE, Kubelet, Pod
from tests.integration.operator.process import OperatorProcess
from tests.integration.operator.storage import Storage
from tests.integration.operator.team import Team
from tests.waiting import eventually

OTHER = "cd" * 32


@pytest.fixture(scope="module")
def storage():
    made = Storage()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_operator(installed, namespace, tmp_path_factory, storage):
    """The module's operator has a default provider."""
    folder = tmp_path_factory.mktemp("operator")
    cache = {"path": "/var/lib/gradient-cache", "sizeLimit": "10Gi"}
    process = OperatorProcess(
        installed,
        namespace,
        folder,
        storage=storage.provider(folder),
        namespacePolicy={"blobCache": cache},
    )
    process.start()
    yield process
    process.stop()


def message(pod, **strings):
    """What an uploader says that has uploaded one dataset."""
    outputs = {"model": {"digest": DIGEST, "bytes": 7, "files": 2}}
    reference = f"runs/{pod['metadata']['uid']}/result.json"
    moved = {"bytes": 7, "files": 2, "seconds": 0.5}
    body = {"v": 1, "outputs": outputs, "strings": strings, "ref": reference}
    return body | {"transfer": moved}


def train(name, dataset):
    return make_workflow().job(name).on(MACHINE).makes("model", "dataset", dataset)


async def own_provider(team: Team, storage: Storage) -> str:
    """A bucket of the namespace with keys of its own."""
    body = {
        "apiVersion": STORAGE_PROVIDERS.api_version,
        "kind": STORAGE_PROVIDERS.kind,
        "metadata": {"name": team.name("bucket"), "namespace": team.namespace},
        "spec": {
            "endpoint": f"http://127.0.0.1:{storage.port}",
            "bucket": "cats",
            "credentialsSecret": "cats-keys",
        },
    }
    made = await team.client.create(STORAGE_PROVIDERS, body)
    return str(made["metadata"]["name"])


def marks(storage: Storage, pod: Pod) -> list[str]:
    """What the operator has written for a Pod's uploader to find."""
    return [path for path in storage.written if pod["metadata"]["uid"] in path]


async def upload(kubelet: Kubelet, job: str, attempt: int = 1, **strings: str) -> None:
    pod = await kubelet.pod(job, attempt)
    await kubelet.run(pod)
    await kubelet.upload(pod, message(pod, **strings))


async def latest(team: Team, dataset: str) -> str | None:
    try:
        found = await team.client.get(DATASETS, name=dataset, namespace=team.namespace)
    except NotFound:
        return None
    version = found.get("status", {}).get("latest")
    return version and version["digest"]


async def test_a_version_appears_with_the_success_of_its_job(operator, team, kubelet):
    dataset = team.name("data")
    builder = train("a", dataset).makes("accuracy", "string").job("b").on(MACHINE).needs("a")
    run = await team.start(builder.takes("m", "a.outputs.model").takes("s", "a.outputs.accuracy"))
    pod = await kubelet.pod("a")
    await kubelet.run(pod)
    await team.job(run, "a", phase="Uploading")
    assert await latest(team, dataset) is None
    await kubelet.upload(pod, message(pod, accuracy="0.93"))
    second = await kubelet.pod("b")
    assert await latest(team, dataset) == DIGEST
    annotations = second["metadata"]["annotations"]
    assert annotations["string.gradient.run/0"] == "0.93"
    fetch = json.loads(second["spec"]["initContainers"][0]["env"][1]["value"])
    assert [item["digest"] for item in fetch] == [DIGEST]
    await kubelet.run(second)
    status = await team.ended(run, "Succeeded")
    outputs = status["jobs"]["a"]["outputs"]
    assert outputs["model"]["version"] == f"{dataset}:{version_id(DIGEST)}"
    assert outputs["accuracy"] == {"value": "0.93"}
    secret = await team.client.get(SECRETS, name="gradient-storage", namespace=team.namespace)
    assert set(secret["data"]) == {"accessKeyId", "secretAccessKey"}


async def test_who_fetches_has_the_cache_of_its_node_and_what_moved_is_counted(
    operator, team, kubelet
):
    builder = train("a", team.name("data")).job("b").on(MACHINE).needs("a")
    run = await team.start(builder.takes("m", "a.outputs.model"))
    first = await kubelet.pod("a")
    await kubelet.run(first)
    await kubelet.upload(first, message(first))
    second = await kubelet.pod("b")
    assert not any("hostPath" in volume for volume in first["spec"]["volumes"])
    (path,) = [
        volume["hostPath"]["path"] for volume in second["spec"]["volumes"] if "hostPath" in volume
    ]
    assert path.startswith(f"/var/lib/gradient-cache/{team.namespace}-")
    await kubelet.run(second)
    await team.ended(run, "Succeeded")
    assert await operator.metric("transfer_bytes_total", direction="upload") >= 7


async def test_a_provider_with_a_web_identity_gives_a_token_to_helpers_alone(
    operator, team, kubelet, storage
):
    provider = {
        "apiVersion": STORAGE_PROVIDERS.api_version,
        "kind": STORAGE_PROVIDERS.kind,
        "metadata": {"name": "cloud", "namespace": team.namespace},
        "spec": {
            "endpoint": f"http://127.0.0.1:{storage.port}",
            "bucket": "cats",
            "webIdentity": {"roleArn": "arn:aws:iam::123456789012:role/data"},
        },
    }
    await team.client.create(STORAGE_PROVIDERS, provider)
    dataset = team.name("data")
    policy = {"datasets": {"provider": "cloud"}}
    run = await team.start(train("a", dataset), policy=policy)
    pod = await kubelet.pod("a")
    (token,) = [item["name"] for item in pod["spec"]["volumes"] if "projected" in item]
    (main,) = pod["spec"]["containers"]
    (uploader,) = pod["spec"]["initContainers"]
    assert token not in {mount["name"] for mount in main["volumeMounts"]}
    assert token in {mount["name"] for mount in uploader["volumeMounts"]}
    assert "AWS_ROLE_ARN" in {item["name"] for item in uploader["env"]}
    await upload(kubelet, "a")
    await team.ended(run, "Succeeded")
    assert await latest(team, dataset) == DIGEST


async def test_who_uploads_for_a_cancelled_run_is_told_to_stop(operator, team, kubelet, storage):
    dataset = team.name("data")
    run = await team.start(train("a", dataset))
    pod = await kubelet.pod("a")
    await kubelet.run(pod)
    await team.job(run, "a", phase="Uploading")
    await team.cancel(run)

    async def told():
        assert marks(storage, pod) == [f"/gradient/v1/runs/{pod['metadata']['uid']}/abort"]

    await eventually(told)
    await kubelet.upload(pod, {"v": 1, "error": "The upload was aborted.", "reason": "Aborted"}, 74)
    await team.ended(run, "Cancelled")
    assert await latest(team, dataset) is None


async def test_an_upload_to_a_bucket_of_the_namespace_cannot_be_stopped_and_counts(
    operator, team, kubelet, storage
):
    """The operator has no keys of that bucket: it leaves no mark there, and none elsewhere."""
    policy = {"datasets": {"provider": await own_provider(team, storage)}}
    dataset = team.name("data")
    builder = train("a", dataset).job("b").on(MACHINE).needs("a")
    run = await team.start(builder, policy=policy)
    pod = await kubelet.pod("a")
    await kubelet.run(pod)
    await team.job(run, "a", phase="Uploading")
    await team.cancel(run)
    await team.job(run, "a", phase="Uploading", reason="Cancelling")
    await kubelet.upload(pod, message(pod))
    status = await team.ended(run, "Cancelled")
    assert {name: job["phase"] for name, job in status["jobs"].items()} == {
        "a": "Succeeded",
        "b": "Cancelled",
    }
    assert await latest(team, dataset) == DIGEST
    assert marks(storage, pod) == []


async def test_what_a_failed_job_uploads_to_a_bucket_of_the_namespace_counts_for_nothing(
    operator, team, kubelet, storage
):
    policy = {"datasets": {"provider": await own_provider(team, storage)}}
    dataset = team.name("data")
    run = await team.start(train("a", dataset), policy=policy)
    pod = await kubelet.pod("a")
    await kubelet.run(pod, 1)
    status = await team.ended(run, "Failed")
    await kubelet.upload(pod, message(pod))
    await kubelet.released(pod)
    assert (await team.run(run))["status"] == status
    assert await latest(team, dataset) is None
    assert marks(storage, pod) == []


async def test_the_phase_of_a_pod_proves_nothing(operator, team, kubelet):
    dataset = team.name("data")
    run = await team.start(train("a", dataset), policy={"infraRetries": 0})
    pod = await kubelet.pod("a")
    await kubelet.run(pod)
    await kubelet.upload(pod, "killed", 137)  # and the Pod's phase is Succeeded
    status = await team.ended(run, "Failed")
    assert status["jobs"]["a"]["reason"] == "UploadFailed"
    found = await team.client.list_all(DATASETS, namespace=team.namespace)
    assert dataset not in {item["metadata"]["name"] for item in found.items}


async def test_a_failed_upload_is_tried_again(operator, team, kubelet):
    dataset = team.name("data")
    run = await team.start(train("a", dataset))
    pod = await kubelet.pod("a")
    await kubelet.run(pod)
    failure = {"v": 1, "error": "The storage does not answer.", "reason": "StorageUnavailable"}
    await kubelet.upload(pod, failure, 75)
    await team.job(run, "a", phase="Pending", reason="StorageUnavailable")
    await upload(kubelet, "a", 2)
    await team.ended(run, "Succeeded")
    assert await latest(team, dataset) == DIGEST


async def test_an_input_is_the_version_of_the_start(operator, team, kubelet):
    dataset = team.name("data")
    await team.start(train("a", dataset))
    await upload(kubelet, "a")

    async def visible():
        assert await latest(team, dataset) == DIGEST

    await eventually(visible)
    source = {"type": "dataset", "with": {"ref": dataset}}
    builder = make_workflow().job("hold").on(MACHINE).job("use").on(MACHINE).needs("hold")
    run = await team.start(builder.takes("d", source))
    hold = await kubelet.pod("hold")
    status = {"latest": {"version": version_id(OTHER), "digest": OTHER, "bytes": 1, "files": 1,
                         "createdAt": "2026-01-31T12:00:00Z"}}  # fmt: skip
    await team.client.merge_patch(
        DATASETS, {"status": status}, name=dataset, namespace=team.namespace, subresource="status"
    )
    await kubelet.run(hold)
    use = await kubelet.pod("use")
    fetch = json.loads(use["spec"]["initContainers"][0]["env"][1]["value"])
    assert [item["digest"] for item in fetch] == [DIGEST]
    await kubelet.run(use)
    await team.ended(run, "Succeeded")


async def test_a_dataset_that_does_not_exist_refuses_the_run_in_words(operator, team):
    source = {"type": "dataset", "with": {"ref": "no-such-data"}}
    run = await team.start(make_workflow().job("a").takes("d", source))
    status = await team.ended(run, "Failed")
    assert "gradient dataset put DIRECTORY no-such-data" in status["message"]


async def test_a_model_is_registered(operator, team, kubelet):
    dataset = team.name("data")
    builder = train("a", dataset).job("m").needs("a").takes("model", "a.outputs.model")
    builder.uses("create-model@v1", name="Cats", type="Custom").makes("model-id", "string")
    run = await team.start(builder)
    await upload(kubelet, "a")
    status = await team.ended(run, "Succeeded")
    name = status["jobs"]["m"]["outputs"]["model-id"]["value"]
    model = await team.client.get(MODELS, name=name, namespace=team.namespace)
    assert (model["spec"]["name"], model["spec"]["digest"]) == ("Cats", DIGEST)


async def test_jobs_wait_for_storage_that_does_not_answer(operator, team, kubelet, storage):
    dataset = team.name("data")
    storage.close()
    try:
        run = await team.start(train("a", dataset).job("plain").on(MACHINE))
        await kubelet.run(await kubelet.pod("plain"))
        status = await team.job(run, "a", reason="StorageUnavailable")
        assert "does not answer" in status["message"]
    finally:
        storage.open()
    await upload(kubelet, "a")
    await team.ended(run, "Succeeded")


async def test_a_crash_between_commit_and_status_commits_once(operator, team, kubelet):
    dataset = team.name("data")
    run = await team.start(train("a", dataset))
    await upload(kubelet, "a")

    async def committed():
        assert await latest(team, dataset) == DIGEST

    await eventually(committed)
    operator.kill()
    operator.start()
    await operator.ready()
    status = await team.ended(run, "Succeeded")
    assert status["jobs"]["a"]["attempt"] == 1
    found = await team.client.list_all(DATASET_VERSIONS, namespace=team.namespace)
    assert len([item for item in found.items if item["spec"]["dataset"] == dataset]) == 1


async def test_a_deleted_run_does_not_wait_for_an_upload_that_has_not_begun(
    operator, team, kubelet
):
    run = await team.start(train("a", team.name("data")))
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await team.job(run, "a", phase="Running")
    await team.delete(run)

    async def shortened():
        metadata = (await kubelet.pod("a"))["metadata"]
        assert metadata.get("deletionGracePeriodSeconds") == 30, "it has an upload's hour to end"

    await eventually(shortened)
    await kubelet.obey(pod)
    await kubelet.gone(pod)


async def test_a_run_that_uploads_and_is_deleted_while_nobody_looks_goes_later(
    operator, team, kubelet
):
    run = await team.start(train("a", team.name("data")))
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await team.job(run, "a", phase="Running")
    operator.kill()
    await team.delete(run)
    assert "deletionTimestamp" in (await team.run(run))["metadata"], "it waits for the operator"
    operator.start()
    await kubelet.obey(pod)
    await kubelet.gone(pod)

    async def gone():
        assert run not in {item["metadata"]["name"] for item in await team.runs("")}

    await eventually(gone)
