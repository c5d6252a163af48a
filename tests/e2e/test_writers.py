"""Runs that write one dataset at the same time, read what they write, or meet a tag that moves."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gradient_operator.kube.resources import DATASETS, PODS, RUNS
from tests.e2e.cluster import Cluster, Seen, script


def dataset(name: str) -> dict[str, Any]:
    return {"type": "dataset", "with": {"ref": name}}


def writes(text: str, name: str) -> dict[str, Any]:
    return {"make": script(f"sleep 1; echo {text} >/outputs/d/x", outputs={"d": dataset(name)})}


APPENDS = "cat /inputs/d/x >/outputs/d/x; echo more >>/outputs/d/x"
AGAIN = {
    "again": script(
        APPENDS + "; test $(wc -l </inputs/d/x) = 1",
        inputs={"d": dataset("grows")},
        outputs={"d": dataset("grows")},
    )
}


async def start(cluster: Cluster) -> None:
    """Two pairs of writers; a dataset that grows from itself; a tag for a run to hold on to."""
    put(cluster, "grows", "one")
    put(cluster, "tagged", "old")
    cluster.gradient("dataset", "tag", "tagged", "best")
    read = {"inputs": {"d": dataset("tagged:best")}}
    await asyncio.gather(
        *(cluster.start(f"same-{n}", writes("same", "same")) for n in (1, 2)),
        *(cluster.start(f"other-{n}", writes(f"{n}", "other")) for n in (1, 2)),
        cluster.start("grows", AGAIN),
        cluster.start(
            "holds",
            {
                "waits": script("until test -e /tmp/go; do sleep 0.1; done"),
                "reads": script("test $(cat /inputs/d/x) = old", needs=["waits"], **read),
            },
        ),
    )


def put(cluster: Cluster, name: str, text: str) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "x").write_text(f"{text}\n")
        cluster.gradient("dataset", "put", folder, name)


async def version(cluster: Cluster, run: str, job: str = "make") -> str:
    status = await cluster.succeeded(run)
    return str(status["jobs"][job]["outputs"]["d"]["version"])


async def known(cluster: Cluster, name: str, *, versions: int) -> dict[str, Any]:
    """The status of a dataset, once the operator has counted so many versions."""
    found = await cluster.until(
        DATASETS, name, lambda item: item.get("status", {}).get("versions") == versions
    )
    status: dict[str, Any] = found["status"]
    return status


async def test_two_runs_with_the_same_content_make_one_version(shared: Cluster) -> None:
    made = {await version(shared, f"same-{n}") for n in (1, 2)}
    assert len(made) == 1
    status = await known(shared, "same", versions=1)
    assert {f"same:{status['latest']['version']}"} == made


async def test_two_runs_with_different_content_make_two_and_latest_is_one_of_them(
    shared: Cluster, tmp_path: Path
) -> None:
    made = {await version(shared, f"other-{n}"): str(n) for n in (1, 2)}
    assert len(made) == 2
    status = await known(shared, "other", versions=2)
    newest = f"other:{status['latest']['version']}"
    assert newest in made
    for name, text in made.items():
        shared.gradient("dataset", "get", name, str(tmp_path / text))
        assert (tmp_path / text / "x").read_text() == f"{text}\n", "each kept its own bytes"


async def test_a_dataset_is_input_and_output_of_one_run(shared: Cluster) -> None:
    """The run reads what was there when it started, and what it writes is the next version."""
    status = await shared.succeeded("grows")
    before, after = status["inputs"]["grows"], await version(shared, "grows", "again")
    assert after != f"grows:{before['version']}"
    status = await known(shared, "grows", versions=2)
    assert status["latest"]["version"] == after.partition(":")[2]


async def test_a_tag_that_moves_after_the_start_changes_nothing_for_the_run(
    shared: Cluster,
) -> None:
    def waits(item: Seen) -> bool:
        jobs = item.get("status", {}).get("jobs", {})
        return bool(jobs.get("waits", {}).get("phase") == "Running")

    seen = await shared.until(RUNS, "holds", waits)
    old = seen["status"]["inputs"]["tagged:best"]["version"]
    put(shared, "tagged", "new")
    shared.gradient("dataset", "tag", "tagged", "best")
    pod = seen["status"]["jobs"]["waits"]["pod"]
    assert await shared.exists(PODS, pod)
    shared.kubectl("exec", pod, "-c", "main", "--", "touch", "/tmp/go")
    status = await shared.succeeded("holds")
    assert status["inputs"]["tagged:best"]["version"] == old
    read = {"inputs": {"d": dataset("tagged:best")}}
    await shared.start("follows", {"reads": script("test $(cat /inputs/d/x) = new", **read)})
    await shared.succeeded("follows")
