"""What is done with a bucket as a whole: collecting it, and recovering a cluster from it."""

import json
import os
import time

import pytest

from gradient_operator.kube.errors import Forbidden
from gradient_operator.kube.resources import (
    DATASET_VERSIONS,
    DATASETS,
    NAMESPACES,
    PODS,
    RUNS,
    STORAGE_PROVIDERS,
)
from gradient_operator.workflow.references import object_name
from tests.unit.cli import test_dataset
from tests.unit.cli.fake import run_object

bucket, source, stored = test_dataset.bucket, test_dataset.source, test_dataset.stored
put = test_dataset.put


@pytest.fixture(autouse=True)
def kube_system(client):
    client.add(NAMESPACES, {"metadata": {"name": "kube-system", "uid": "me"}}, namespace=None)


@pytest.fixture
def aged(bucket):
    """Make everything in the bucket older than any grace."""

    def age():
        for folder, _, names in os.walk(bucket):
            for name in names:
                if "/gc" not in folder:
                    os.utime(os.path.join(folder, name), (time.time() - 10**7,) * 2)
        marks = bucket / "p/v1/gc/marks"
        if marks.exists():
            lines = [line.split(" ", 1) for line in marks.read_text().splitlines()]
            marks.write_text("".join(f"{float(t) - 10**6} {key}\n" for t, key in lines))

    return age


def objects(bucket):
    return {
        path for path in (bucket / "p/v1").rglob("*") if path.is_file() and "gc" not in str(path)
    }


def forget_versions(client):
    for plural in ("gradientdatasetversions", "gradientdatasets"):
        for key in [key for key in client.objects if key[0] == plural]:
            del client.objects[key]


class TestCollect:
    def test_what_no_version_needs_goes_in_two_collections(
        self, gradient, client, bucket, stored, aged
    ):
        kept = objects(bucket)
        (stored / "extra").write_bytes(os.urandom(2_000_000))
        put(gradient, stored)
        newest = max(client.of(DATASET_VERSIONS).values(), key=lambda item: item["spec"]["files"])
        del client.objects["gradientdatasetversions", "team", newest["metadata"]["name"]]
        aged()
        code, out, err = gradient("dataset", "gc")
        assert code == 0, err
        assert "marked   2 objects, 1.9 MiB" in out
        assert "deleted  0 objects" in out
        aged()
        _, out, _ = gradient("dataset", "gc", "--dry-run")
        assert "due      2 objects, 1.9 MiB: would be deleted now" in out
        _, out, _ = gradient("dataset", "gc", "-o", "json")
        assert json.loads(out)["deleted"]["objects"] == 2
        assert {path for path in objects(bucket) if "v1/mirror" not in str(path)} == kept
        assert gradient("dataset", "verify", "Digits:latest")[0] == 2  # the deleted one was latest

    @pytest.mark.parametrize("holder", ["run", "pod"])
    def test_what_a_run_or_a_pod_names_stays(self, gradient, client, stored, aged, holder):
        digest = test_dataset.version_in(client)["digest"]
        output = {"digest": digest, "bytes": 1, "files": 1}
        if holder == "run":
            jobs = {"a": {"phase": "Succeeded", "outputs": {"x": output}}}
            client.add(RUNS, run_object("r", phase="Failed", jobs=jobs), namespace="other")
        else:
            message = json.dumps({"v": 1, "outputs": {"x": output}, "ref": "runs/u/result.json"})
            labels = {
                "app.kubernetes.io/managed-by": "gradient-operator",
                "gradient.run/run-uid": "u",
            }
            state = {"terminated": {"exitCode": 0, "message": message}}
            status = {"initContainerStatuses": [{"name": "uploader", "state": state}]}
            client.add(PODS, {"metadata": {"name": "p", "labels": labels}, "status": status})
        forget_versions(client)
        bucket = stored.parent / "bucket"
        before = objects(bucket)
        for _ in range(2):
            aged()
            assert gradient("dataset", "gc", "--force")[0] == 0
        assert before <= objects(bucket)

    def test_the_report_can_be_written_down(self, gradient, stored, tmp_path):
        gradient("dataset", "gc", "--report", str(tmp_path / "report"))
        assert json.loads((tmp_path / "report").read_text())["versions"] == 1

    def test_a_pod_of_ours_takes_mounted_files(self, gradient, client, bucket, stored, tmp_path):
        (tmp_path / "config.yaml").write_text(
            f"storage:\n  endpoint: {bucket.as_uri()}\n  bucket: data\n  prefix: p\n"
        )
        keys = tmp_path / "keys"
        keys.mkdir()
        for name in ("accessKeyId", "secretAccessKey"):
            (keys / name).write_text("x")
        for kind in ("configmaps", "secrets", "deployments"):
            for key in [key for key in client.objects if key[0] == kind]:
                del client.objects[key]
        mounted = ("--config", str(tmp_path / "config.yaml"), "--credentials", str(keys))
        code, out, err = gradient("dataset", "gc", *mounted)
        assert code == 0, err
        assert "by 1 versions" in out

    def test_a_providers_own_versions_get_names_and_provenance_of_the_collector(
        self, gradient, client, bucket, source, tmp_path
    ):
        folder = tmp_path / "own"
        folder.mkdir()
        spec = {"endpoint": folder.as_uri(), "bucket": "own", "credentialsSecret": "keys"}
        client.add(STORAGE_PROVIDERS, {"metadata": {"name": "ours"}, "spec": spec})
        test_dataset.secret(client, "keys", "team")
        body = {"metadata": {"name": object_name("Digits")}, "spec": {"provider": "ours"}}
        client.add(DATASETS, body)
        put(gradient, source)
        assert gradient("dataset", "provenance", "Digits")[0] == 1
        code, _, err = gradient("dataset", "gc", "--provider", "ours")
        assert code == 0, err
        assert gradient("dataset", "provenance", "Digits")[0] == 0
        assert list((folder / "v1/mirror").rglob("dataset.json"))
        assert not (bucket / "p/v1/mirror").exists()

    def test_the_provenance_of_a_version_goes_with_it(self, gradient, client, bucket, stored, aged):
        spec = test_dataset.version_in(client)
        place = bucket / "p/v1/provenance/sha256" / spec["digest"] / f"{'1' * 64}.json"
        place.parent.mkdir(parents=True)
        place.write_text("{}")
        for _ in range(2):
            aged()
            assert gradient("dataset", "gc")[0] == 0
        assert place.exists()
        forget_versions(client)
        for _ in range(2):
            aged()
            assert gradient("dataset", "gc", "--force")[0] == 0
        assert not place.exists()

    def test_who_may_not_see_everything_collects_nothing(
        self, gradient, client, bucket, stored, monkeypatch
    ):
        async def forbidden(*_, **__):
            raise Forbidden("pods is forbidden")

        monkeypatch.setattr(client, "list_all", forbidden)
        code, _, err = gradient("dataset", "gc")
        assert code == 2
        assert "you may not look into all of them" in err

    def test_a_grace_that_is_none_is_refused(self, gradient, stored):
        code, _, err = gradient("dataset", "gc", "--grace", "soon")
        assert code == 2
        assert "--grace: 'soon' is no duration" in err


class TestRecover:
    @pytest.fixture
    def lost(self, gradient, client, stored):
        """Three versions, of which the oldest content is the newest version; then all is lost."""
        (stored / "a.txt").write_text("two")
        put(gradient, stored, "-m", "second")
        (stored / "a.txt").write_text("one")
        put(gradient, stored)
        gradient("dataset", "tag", "Digits", "best")
        assert gradient("dataset", "gc")[0] == 0
        before = {**client.of(DATASETS)}, {**client.of(DATASET_VERSIONS)}
        forget_versions(client)
        return before

    def test_everything_comes_back(self, gradient, client, lost, tmp_path):
        _, out, _ = gradient("dataset", "recover", "--dry-run")
        assert "knows 1 datasets and 2 versions: would make 1 datasets and 2 versions" in out
        assert client.of(DATASETS) == {}
        code, out, err = gradient("dataset", "recover")
        assert code == 0, err
        assert "made 1 datasets and 2 versions, 0 were there" in out
        datasets, versions = lost
        for name, item in client.of(DATASETS).items():
            assert item["spec"] == datasets[name]["spec"]
            before = datasets[name]["status"]["latest"]
            assert item["status"]["latest"]["digest"] == before["digest"]
        found = client.of(DATASET_VERSIONS)
        assert found.keys() == versions.keys()
        for name, item in found.items():
            assert item["spec"] == versions[name]["spec"]
            assert item["metadata"]["labels"] == versions[name]["metadata"]["labels"]
        assert gradient("dataset", "get", "Digits:best", str(tmp_path / "back"))[0] == 0
        assert (tmp_path / "back/a.txt").read_text() == "one"

    def test_what_exists_is_left_as_it_is(self, gradient, client, lost):
        gradient("dataset", "recover")
        gradient("dataset", "untag", "Digits", "best")
        before = {**client.objects}
        _, out, _ = gradient("dataset", "recover")
        assert "made 0 datasets and 0 versions, 3 were there" in out
        assert client.objects == before

    def test_lost_manifests_are_named(self, gradient, client, bucket, lost):
        for item in (bucket / "p/v1/manifests").rglob("*"):
            if item.is_file():
                item.unlink()
        _, out, _ = gradient("dataset", "recover")
        assert "made 1 datasets and 0 versions" in out
        assert out.count("lost  team/") == 2

    def test_an_emptied_cluster_is_not_collected(self, gradient, client, bucket, lost, aged):
        for number in range(4):  # the guard wants more than a handful
            folder = bucket / "p/v1/mirror" / f"{number}"
            folder.mkdir(parents=True)
            (folder / "dataset.json").write_text("{}")
        aged()
        code, _, err = gradient("dataset", "gc")
        assert code == 2
        assert "gradient dataset recover" in err
