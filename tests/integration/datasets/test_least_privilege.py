"""Everybody works with the policy that docs/storage.md has for him, and nobody can do more."""

from __future__ import annotations

import json
import os
import uuid
from typing import TYPE_CHECKING

import pytest

from gradient_operator.controllers.dataset_records import (
    VersionIndex,
    project_dataset,
    project_version,
)
from gradient_operator.controllers.mirror import DatasetMirror
from gradient_operator.dataset_versions import Content, commit
from gradient_operator.datasets.collect import Settings, collect
from gradient_operator.datasets.credentials import read_credentials
from gradient_operator.datasets.errors import StorageRefusedError
from gradient_operator.datasets.layout import FORMAT_KEY, manifest_key, run_key
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.marking import Roots
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.statements import find_statements
from gradient_operator.datasets.store import CollectorStore, RetryPolicy
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS
from gradient_operator.observability.metrics import Metrics
from gradient_operator.workflow.references import DatasetReference, version_id
from tests.integration.helpers.processes import Pod, finish
from tests.integration.seaweedfs import RIGHTS, S3Server
from tests.token_service import TokenService
from tests.unit.controllers.memory_api import MemoryApi
from tests.unit.datasets.trees import make_tree, read_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture
def opened(seaweedfs: S3Server, tmp_path: Path) -> Callable[[str], CollectorStore]:
    """The bucket with somebody's keys; the store could delete, if it were let."""

    def connect(name: str) -> CollectorStore:
        location = StorageLocation.from_json(json.dumps(seaweedfs.location(RIGHTS)))
        return CollectorStore.open(
            location,
            read_credentials(keys(seaweedfs, tmp_path, name)),
            retry=RetryPolicy(elapsed=0),
        )

    return connect


def keys(server: S3Server, folder: Path, name: str) -> Path:
    secrets = {"accessKeyId": name, "secretAccessKey": f"{name}-secret"}
    return server.write_credentials(folder / f"keys-{name}", **secrets)


def refuses(call: Callable[[], object]) -> bool:
    try:
        call()
    except StorageRefusedError:
        return True
    return False


def tree(folder: Path) -> Path:
    return make_tree(folder, {b"small": os.urandom(500), b"large": os.urandom(2 * 1024 * 1024)})


def pod_of(seaweedfs: S3Server, folder: Path, name: str) -> Pod:
    return Pod(
        root=folder,
        location=seaweedfs.location(RIGHTS),
        keys=keys(seaweedfs, folder, name) if name else None,
        uid=f"pod-{uuid.uuid4().hex[:8]}",
    )


def round_trip(pod: Pod, folder: Path) -> dict[str, object]:
    """Upload a tree and fetch it again; returns the uploader's message."""
    process = pod.start_upload("model", strings=("text",))
    assert pod.wait_ready() == 0
    tree(pod.outputs / "model")
    (pod.outputs / "text").write_text("long" * 200)
    code, log = finish(process)
    assert code == 0, log
    message = pod.message
    version = message["outputs"]["model"]
    done = pod.fetch(
        {"path": str(folder / "back"), "digest": version["digest"]},
        {"path": str(folder / "text"), "string": {"ref": message["ref"], "name": "text"}},
    )
    assert done.returncode == 0, done.stdout
    assert read_tree(folder / "back") == read_tree(pod.outputs / "model")
    return message


def test_helpers_store_and_fetch_and_cannot_delete(
    seaweedfs: S3Server, tmp_path: Path, opened: Callable[[str], CollectorStore]
) -> None:
    pod = pod_of(seaweedfs, tmp_path, "helpers")
    message = round_trip(pod, tmp_path)
    digest = message["outputs"]["model"]["digest"]  # type: ignore[index]
    store = opened("helpers")
    assert refuses(lambda: store.delete([manifest_key(digest)]))
    assert store.size(manifest_key(digest)), "it is still there"
    assert refuses(lambda: store.put("v1/mirror/x", b"x"))
    assert refuses(lambda: store.put(f"v1/provenance/sha256/{digest}/x.json", b"x"))
    assert refuses(lambda: store.put("v1/gc/owner.json", b"x"))
    assert refuses(lambda: list(store.list("v1/manifests")))
    assert refuses(lambda: list(store.list("v1/runs")))


def test_helpers_with_a_web_identity_trade_their_token_when_main_has_ended(
    seaweedfs: S3Server, tmp_path: Path
) -> None:
    with TokenService(access="helpers", secret="helpers-secret", longest=7_200) as service:
        pod = pod_of(seaweedfs, tmp_path, "")
        (tmp_path / "token").write_text("token")
        pod.variables = {
            "AWS_ROLE_ARN": service.role,
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
            "AWS_ENDPOINT_URL_STS": service.url,
        }
        process = pod.start_upload("model")
        assert pod.wait_ready() == 0
        assert service.asked == [], "the token is traded when it is needed"
        tree(pod.outputs / "model")
        code, log = finish(process)
        assert code == 0, log
        asked = [int(form["DurationSeconds"]) for form in service.asked]
        assert asked[-1] == 7_200, "the longest that the role allows"
        assert asked == sorted(set(asked), reverse=True), "and once"

        service.tokens.clear()
        done = pod.fetch({"path": str(tmp_path / "back"), "digest": "0" * 64})
        assert done.returncode == 77
        assert "refused the identity (InvalidIdentityToken" in pod.message["error"]


async def test_the_operator_tells_of_versions_and_stops_uploads_only(
    opened: Callable[[str], CollectorStore],
) -> None:
    api, digest = MemoryApi(), uuid.uuid4().hex * 2
    content = Content(digest=digest, bytes=1, files=1)
    await commit(api, namespace="ns", dataset=DatasetReference("cats"), content=content)
    store = opened("operator")
    view, versions = project_dataset(api.all(DATASETS)["cats"]), VersionIndex()
    for item in api.all(DATASET_VERSIONS).values():
        versions.update(None, project_version(item))
    mirror = DatasetMirror(
        api, lambda: store, Metrics(), datasets={("ns", "cats"): view}, versions=versions
    )
    mirror.note(view)
    await mirror.flush()
    store.put(run_key("some-pod", "abort"), b"{}")

    found = list(find_statements(opened("people"), digest, f"ns/cats:{version_id(digest)}"))
    assert len(found) == 1
    assert refuses(lambda: store.delete([found[0].key]))
    assert refuses(lambda: store.put(manifest_key(digest), b"x"))
    assert refuses(lambda: store.get(FORMAT_KEY))


def test_the_collector_deletes(tmp_path: Path, opened: Callable[[str], CollectorStore]) -> None:
    store = opened("collector")
    version = snapshot(opened("people"), tree(tmp_path / "tree"))
    settings = Settings(owner="me", grace=-1, take_over=True, force=True)
    for _ in range(2):
        report = collect(store, Roots, settings)
    assert store.size(manifest_key(version.digest)) is None
    assert report.reachable.objects == 0


def test_people_put_and_get_and_cannot_delete(
    tmp_path: Path, opened: Callable[[str], CollectorStore]
) -> None:
    store = opened("people")
    version = snapshot(store, tree(tmp_path / "tree"))
    assert restore(store, version.digest, tmp_path / "back") == version
    assert refuses(lambda: store.delete([manifest_key(version.digest)]))
    assert refuses(lambda: store.put(f"v1/provenance/sha256/{version.digest}/x.json", b"x"))
    assert refuses(lambda: list(store.list("v1/mirror")))
