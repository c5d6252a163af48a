"""How versions were made is told in a real bucket, by an operator that has a key to sign it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gradient_operator.api.datasets import DatasetVersionSpec
from gradient_operator.dataset_versions import Content, commit
from gradient_operator.datasets.credentials import read_credentials
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.provenance import spec_digest
from gradient_operator.datasets.signing import Verifier
from gradient_operator.datasets.statements import find_statements
from gradient_operator.datasets.store import BlobStore
from gradient_operator.kube.resources import DATASET_VERSIONS
from gradient_operator.workflow.references import DatasetReference, version_id
from tests.builders import DIGEST, make_workflow
from tests.integration.operator.kubelet import MACHINE, Kubelet
from tests.integration.operator.process import OperatorProcess
from tests.integration.seaweedfs import S3Server, seaweedfs
from tests.unit.datasets.test_signing import private, public
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.operator.team import Team

__all__ = ["seaweedfs"]

OLD, NEW = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
RAW = "cd" * 32
COMMIT = "1" * 40


@pytest.fixture(scope="module")
def store(
    seaweedfs: S3Server, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> BlobStore:
    keys = read_credentials(seaweedfs.write_credentials(tmp_path_factory.mktemp("keys")))
    text = json.dumps(seaweedfs.location(namespace))
    return BlobStore.open(StorageLocation.from_json(text), keys)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's key, which a test may change."""
    path = tmp_path_factory.mktemp("provenance") / "key.pem"
    path.write_bytes(private(OLD))
    return path


@pytest.fixture(scope="module")
def shared_operator(
    installed: Path,
    namespace: str,
    tmp_path_factory: pytest.TempPathFactory,
    seaweedfs: S3Server,
    key: Path,
) -> Iterator[OperatorProcess]:
    folder = tmp_path_factory.mktemp("operator")
    storage = {
        "endpoint": seaweedfs.endpoint,
        "bucket": seaweedfs.bucket,
        "prefix": namespace,
        "credentialsDirectory": str(seaweedfs.write_credentials(folder / "keys")),
    }
    process = OperatorProcess(installed, namespace, folder, storage=storage, provenanceKey=str(key))
    process.start()
    yield process
    process.stop()


async def told(
    store: BlobStore, team: Team, dataset: str, digest: str, *keys: Ed25519PrivateKey
) -> dict[str, dict[str, Any]]:
    """What is verified of a version, by the run that made it; empty for a person's put."""
    name = f"{team.namespace}/{dataset}:{version_id(digest)}"
    verifier = Verifier.load(public(key) for key in keys)
    found = {}
    for each in find_statements(store, digest, name, verifier):
        assert each.body is not None, each.problem
        build = each.body["predicate"]["buildDefinition"]
        found[build["externalParameters"].get("run", "")] = each.body["predicate"]
    return found


async def put(team: Team, dataset: str, digest: str) -> None:
    await commit(
        team.client,
        namespace=team.namespace,
        dataset=DatasetReference(dataset),
        content=Content(digest=digest, bytes=1, files=1),
    )


async def train(team: Team, kubelet: Kubelet, job: str) -> str:
    """A run that reads `raw` and makes `model`, whatever ran before."""
    source = {"type": "dataset", "with": {"ref": "raw"}}
    builder = make_workflow(
        context={"event": {"github": {"url": "https://git.test/x", "ref": COMMIT}}}
    )
    builder.job(job).on(MACHINE).takes("in", source).makes("out", "dataset", "model")
    run = await team.start(builder)
    pod = await kubelet.pod(job)
    await kubelet.run(pod)
    outputs = {"out": {"digest": DIGEST, "bytes": 7, "files": 2}}
    reference = f"runs/{pod['metadata']['uid']}/result.json"
    await kubelet.upload(pod, {"v": 1, "outputs": outputs, "strings": {}, "ref": reference})
    await team.ended(run, "Succeeded")
    return run


async def test_every_making_of_a_version_is_told_and_signed(
    operator: OperatorProcess, team: Team, kubelet: Kubelet, store: BlobStore, key: Path
) -> None:
    await put(team, "raw", RAW)
    first = await train(team, kubelet, "train")

    async def one() -> dict[str, Any]:
        found = await told(store, team, "model", DIGEST, OLD)
        assert set(found) == {first}
        return found[first]

    predicate = await eventually(one)
    build, details = predicate["buildDefinition"], predicate["runDetails"]
    body = await team.run(first)
    asked = build["externalParameters"]
    assert asked["specDigest"] == {"sha256": spec_digest(body["spec"])}
    assert asked["source"] == {"repository": "https://git.test/x", "revision": COMMIT}
    assert {item["name"]: item.get("digest") for item in build["resolvedDependencies"]} == {
        "main": {"sha256": "5e" * 32},
        f"{team.namespace}/raw:{version_id(RAW)}": {"sha256": RAW},
        "source": {"gitCommit": COMMIT},
    }
    assert details["metadata"]["invocationId"] == f"{body['metadata']['uid']}/train/1"
    assert details["metadata"]["startedOn"] <= details["metadata"]["finishedOn"]
    assert {item["name"] for item in details["builder"]["builderDependencies"]} == {
        "fetch",
        "uploader",
    }
    listed = await team.client.list_all(DATASET_VERSIONS, namespace=team.namespace)
    for item in listed.items:
        DatasetVersionSpec.model_validate(item["spec"])

    # Another key from here on: what the first has signed stays, and both can be checked.
    await asyncio.to_thread(key.write_bytes, private(NEW))
    second = await train(team, kubelet, "again")

    async def both() -> None:
        found = await told(store, team, "model", DIGEST, OLD, NEW)
        assert set(found) == {first, second}

    await eventually(both)
    newest = [
        each.body is not None
        for each in find_statements(
            store,
            DIGEST,
            f"{team.namespace}/model:{version_id(DIGEST)}",
            Verifier.load([public(NEW)]),
        )
    ]
    assert sorted(newest) == [False, True]


async def test_what_a_person_put_is_told_too(
    operator: OperatorProcess, team: Team, store: BlobStore
) -> None:
    await put(team, "by-hand", "ef" * 32)

    async def ask() -> None:
        found = await told(store, team, "by-hand", "ef" * 32, OLD, NEW)
        assert set(found) == {""}
        assert found[""]["runDetails"]["builder"]["id"] == "https://gradient.run/cli"

    await eventually(ask)
