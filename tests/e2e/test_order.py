"""Order, parallelism and placement, proven from what the kubelets say of the Pods."""

from datetime import datetime

from gradient_operator.kube.resources import RUNS
from tests.e2e.cluster import Cluster, Seen, on_gpu, script


def span(pod: Seen) -> tuple[datetime, datetime]:
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return datetime.fromisoformat(ended["startedAt"]), datetime.fromisoformat(ended["finishedAt"])


async def test_a_diamond_runs_in_order_with_its_middle_in_parallel(cluster: Cluster) -> None:
    middle = script("sleep 6", needs=["first"])
    await cluster.start(
        "diamond",
        {
            "last": script("true", needs=["left", "right"]),
            "left": middle,
            "right": middle,
            "first": script("true"),
        },
    )
    await cluster.succeeded("diamond")
    pods = await cluster.pods("diamond")
    first, left, right, last = (span(pods[name]) for name in ("first", "left", "right", "last"))
    assert first[1] <= left[0]
    assert first[1] <= right[0]
    assert left[0] < right[1]
    assert right[0] < left[1], "the two must overlap"
    assert max(left[1], right[1]) <= last[0]


async def test_gpu_jobs_go_to_the_gpu_pool_and_wait_for_a_free_gpu(cluster: Cluster) -> None:
    jobs = {f"job-{number}": on_gpu(script("sleep 8")) for number in range(6)}
    jobs["cpu"] = script("true")
    await cluster.start("gpus", jobs)

    def two_wait_for_a_gpu(run: Seen) -> bool:
        found = run.get("status", {}).get("jobs", {})
        said = [item.get("message", "") for item in found.values()]
        return sum("Insufficient nvidia.com/gpu" in text for text in said) == 2

    await cluster.until(RUNS, "gpus", two_wait_for_a_gpu)
    await cluster.succeeded("gpus")
    pods = await cluster.pods("gpus")
    nodes = {name: pod["spec"]["nodeName"] for name, pod in pods.items()}
    kinds = {}
    for name, node in nodes.items():
        found = cluster.kubectl("get", "node", node, "-o", "jsonpath={.metadata.labels}").stdout
        kinds[name] = "gpu" if '"gradient.run/pool":"gpu"' in found else "cpu"
    assert kinds.pop("cpu") == "cpu"
    assert set(kinds.values()) == {"gpu"}
    spans = [span(pod) for name, pod in pods.items() if name != "cpu"]
    for moment, _ in spans:
        assert sum(start <= moment < end for start, end in spans) <= 4, "four GPUs, not more"


async def test_a_job_starts_when_its_last_need_has_ended_whatever_their_order(
    cluster: Cluster,
) -> None:
    await cluster.start(
        "join",
        {
            "slow": script("sleep 4"),
            "quick": script("true"),
            "join": script("true", needs=["quick", "slow"]),
        },
    )
    await cluster.succeeded("join")
    pods = await cluster.pods("join")
    assert span(pods["slow"])[1] <= span(pods["join"])[0]
