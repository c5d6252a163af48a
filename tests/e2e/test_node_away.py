"""Users of one claim whose node is cordoned or drained: they wait with words, and go on."""

from typing import Any

import pytest

from gradient_operator.kube.resources import RUNS
from tests.e2e.cluster import Cluster, Seen, command, on_gpu, script

NODE = "gpu-1"
WORK = {"work": {"type": "volume"}}
TAKES: dict[str, Any] = {"needs": ["first"], "inputs": {"work": "first.outputs.work"}}
MEETS = """
    test "$(cat /inputs/work/kept)" = first || exit 1
    echo $GRADIENT_ATTEMPT >>/inputs/work/$GRADIENT_JOB
    for _ in $(seq 1200); do
        if grep -q 2 /inputs/work/left && grep -q 2 /inputs/work/right; then exit 0; fi
        sleep 0.1
    done 2>/dev/null
    exit 1
"""


def job(text: str, **more: Any) -> dict[str, Any]:
    return on_gpu(script(text, **more))


async def start(cluster: Cluster) -> None:
    first = "echo first >/outputs/work/kept"
    hold = f"{first}; until test -e /outputs/work/go; do sleep 0.1; done"
    await cluster.start(
        "cordoned",
        {
            "first": job(hold, outputs=WORK),
            "second": job('test "$(cat /inputs/work/kept)" = first', **TAKES),
        },
    )
    await cluster.start(
        "drained",
        {
            "first": job(first, outputs=WORK),
            "left": job(MEETS, **TAKES),
            "right": job(MEETS, **TAKES),
        },
    )


@pytest.fixture(autouse=True)
def without_a_mark(installed: None) -> Any:
    yield
    command(["kubectl", "uncordon", NODE])


def all_run(*jobs: str) -> Any:
    def holds(item: Seen) -> bool:
        found = item.get("status", {}).get("jobs", {})
        return all(found.get(name, {}).get("phase") == "Running" for name in jobs)

    return holds


async def test_users_of_a_claim_wait_for_its_node_with_words_and_go_on_when_it_is_back(
    shared: Cluster,
) -> None:
    await shared.until(RUNS, "cordoned", all_run("first"))
    await shared.until(RUNS, "drained", all_run("left", "right"))
    drain = ["kubectl", "drain", NODE, "--force", "--grace-period=1", "--delete-emptydir-data"]
    command([*drain, "--pod-selector=gradient.run/run=drained", "--timeout=60s"])
    pod = (await shared.pods("cordoned"))["first"]["metadata"]["name"]
    shared.kubectl("exec", pod, "-c", "main", "--", "touch", "/outputs/work/go")

    for run, waiting in (("cordoned", "second"), ("drained", "left"), ("drained", "right")):
        message = await shared.waiting(run, waiting, "NodeUnavailable")
        assert f"its volume is on node {NODE}" in message
        assert f"kubectl uncordon {NODE}" in message
        seen = await shared.client.get(RUNS, name=run, namespace=shared.namespace)
        assert f"kubectl uncordon {NODE}" in seen["status"]["message"], "the run says it, too"

    command(["kubectl", "uncordon", NODE])
    await shared.succeeded("cordoned")
    status = await shared.succeeded("drained")
    for name in ("left", "right"):
        found = status["jobs"][name]
        assert (found["attempt"], found["infraFailures"]) == (2, 1), "it was nobody's fault"
