"""Matrices, conditions, time limits and borne failures on real kubelets."""

from gradient_operator.kube.resources import DATASET_VERSIONS
from tests.e2e.cluster import Cluster, script

STRING = {"type": "string"}


async def test_a_sweep_is_gathered_chosen_from_and_acted_upon(cluster: Cluster) -> None:
    train = script(
        'test "$MATRIX_RATE" != 9 || exit 3\n'
        "echo ${{ matrix.rate }} >/outputs/model/rate\n"
        "printf %s ${{ matrix.rate }} >/outputs/note\n"
        "echo ${{ matrix.rate }} >/outputs/scratch/rate",
        strategy={"matrix": {"rate": [0.1, 0.5, 9]}, "fail-fast": False, "max-parallel": 2},
        outputs={
            "model": {"type": "dataset", "with": {"ref": "sweep-${{ matrix.rate }}"}},
            "note": STRING,
            "scratch": {"type": "volume"},
        },
        **{"continue-on-error": True},
    )
    choose = script(
        "set -e; cd /inputs; find models notes scratch -type f | sort\n"
        'test "$(ls models | xargs)" = "0.1 0.5"\n'
        'test "$(cat models/0.5/rate) $(cat notes/0.5) $(cat scratch/0.5/rate)" = "0.5 0.5 0.5"\n'
        "echo 0.93 >/outputs/accuracy",
        needs=["train"],
        inputs={
            "models": "train.outputs.model",
            "notes": "train.outputs.note",
            "scratch": "train.outputs.scratch",
        },
        outputs={"accuracy": STRING},
    )
    good = "double(needs.choose.outputs.accuracy) > double(inputs.wanted)"
    await cluster.start(
        "sweep",
        {
            "train": train,
            "choose": choose,
            "good": script("echo released", needs=["choose"], **{"if": good}),
            "bad": script("false", needs=["choose"], **{"if": f"!({good})"}),
            "behind-bad": script("false", needs=["bad"]),
        },
        inputs={"wanted": {"type": "string", "with": {"value": "0.9"}}},
    )
    status = await cluster.succeeded("sweep")
    assert {name: job["phase"] for name, job in status["jobs"].items()} == {
        "train-0.1": "Succeeded",
        "train-0.5": "Succeeded",
        "train-9": "Failed",
        "choose": "Succeeded",
        "good": "Succeeded",
        "bad": "Skipped",
        "behind-bad": "Skipped",
    }
    assert "released" in await cluster.log("sweep", "good")


async def test_a_job_that_runs_too_long_is_stopped_and_leaves_nothing_visible(
    cluster: Cluster,
) -> None:
    """It ignores the signal, as `bash -c` does, and would have written a dataset."""
    slow = script(
        "echo half >/outputs/data/half; sleep 600; echo whole >/outputs/data/whole",
        outputs={"data": {"type": "dataset", "with": {"ref": "never"}}},
        **{"timeout-minutes": 0.1},
    )
    tidy = script("echo tidied", needs=["slow"], **{"if": "failure()"})
    await cluster.start("slow", {"slow": slow, "tidy": tidy})
    status = await cluster.ended("slow")
    assert status["phase"] == "Failed"
    assert status["jobs"]["slow"]["reason"] == "TimedOut"
    assert status["jobs"]["tidy"]["phase"] == "Succeeded"
    assert "outputs" not in status["jobs"]["slow"]
    listed = await cluster.client.list_all(DATASET_VERSIONS, namespace=cluster.namespace)
    assert listed.items == []


async def test_fail_fast_stops_the_other_combinations(cluster: Cluster) -> None:
    job = script(
        "test ${{ matrix.n }} = 1 && sleep 3 && exit 1; sleep 600",
        strategy={"matrix": {"n": [1, 2]}},
    )
    await cluster.start("fast", {"t": job})
    status = await cluster.ended("fast")
    assert status["phase"] == "Failed"
    assert status["jobs"]["t-2"]["phase"] == "Cancelled"
    assert status["jobs"]["t-2"]["message"] == "t-1 failed"
    stopped = (await cluster.pods("fast")).get("t-2")
    if stopped:
        name = stopped["metadata"]["name"]
        cluster.kubectl("wait", "--for=delete", f"pod/{name}", "--timeout=60s")
