"""Finished runs go to the archive, and a run that is gone is not started again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradient_operator.datasets.credentials import read_credentials
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.run_archive import read_records
from gradient_operator.datasets.store import BlobStore
from tests.builders import make_workflow
from tests.integration.operator.process import OperatorProcess
from tests.integration.seaweedfs import S3Server, seaweedfs
from tests.waiting import eventually

__all__ = ["seaweedfs"]

HISTORY = {"keepSucceeded": 1, "keepMinutes": 0, "sweepSeconds": 0.3}


@pytest.fixture(scope="module")
def store(
    seaweedfs: S3Server, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> BlobStore:
    keys = read_credentials(seaweedfs.write_credentials(tmp_path_factory.mktemp("keys")))
    text = json.dumps(seaweedfs.location(namespace))
    return BlobStore.open(StorageLocation.from_json(text), keys)


@pytest.fixture(scope="module")
def shared_operator(
    installed: Path,
    namespace: str,
    tmp_path_factory: pytest.TempPathFactory,
    seaweedfs: S3Server,
) -> Iterator[OperatorProcess]:
    folder = tmp_path_factory.mktemp("operator")
    storage = {
        "endpoint": seaweedfs.endpoint,
        "bucket": seaweedfs.bucket,
        "prefix": namespace,
        "credentialsDirectory": str(seaweedfs.write_credentials(folder / "keys")),
    }
    process = OperatorProcess(installed, namespace, folder, storage=storage, history=HISTORY)
    process.start()
    yield process
    process.stop()


async def test_old_runs_are_archived_and_not_started_again(operator, team, store):
    def graph(text):
        return make_workflow().job("a").uses("script@v1", image="bash:5", script=text)

    name = team.name()

    async def last(before=frozenset()):
        """The only run that is left of the workflow, once it is another one."""

        async def ask():
            runs = await team.runs(name)
            states = {run["metadata"]["name"]: run.get("status", {}).get("phase") for run in runs}
            assert list(states.values()) == ["Succeeded"], states
            assert not before & states.keys(), states
            return next(iter(states))

        return await eventually(ask)

    await team.apply(name, graph("1"))
    first = await last()
    await team.apply(name, graph("2"))
    second = await last({first})
    archived = {each.run["metadata"]["name"] for each in read_records(store, team.namespace)}
    assert first in archived

    # The same again, also after a restart: the run that is gone stays gone.
    await team.apply(name, graph("2"))
    operator.terminate()
    operator.start()
    await operator.ready()
    await team.apply(name, graph("2"), retries=1)
    await team.observed(name)
    assert await last() == second

    # The way back is one more run, as it is without history.
    await team.apply(name, graph("1"))
    await last({first, second})
    records = [each.run for each in read_records(store, team.namespace)]
    names = [record["metadata"]["name"] for record in records]
    assert sorted(names.count(each) for each in (first, second)) == [1, 1]
    assert {record["status"]["phase"] for record in records} == {"Succeeded"}
