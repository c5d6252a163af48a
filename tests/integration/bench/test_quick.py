"""The bench runs and counts right, and the operator has not become much slower or more talkative.

One small round on a machine that does other things, too: counts are exact, everything else is
compared with the bare client of the same round, or bounded far above what it takes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.model import QUICK

ROOT = Path(__file__).parents[3]
SECONDS = 600
BURST, FAN_OUT = "B3", "B2"
PODS = {
    "B1": (QUICK.chains + 1) * QUICK.chain,
    "B2-100": QUICK.narrow + 2,
    "B2": QUICK.width + 2,
    "B3": QUICK.burst,
}
"""Pods of each load."""
RUNS = {"B2-100": 1, "B2": 1, "B3": QUICK.burst}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """One round of every load that `make bench` runs: by load, contestant, what was measured."""
    file = tmp_path_factory.mktemp("bench") / "bench.json"
    command = [sys.executable, "-m", "tests.bench", "--quick", "--json", file]
    kubeconfig = os.environ.get("GRADIENT_TEST_KUBECONFIG")
    if kubeconfig:  # else the bench finds or starts the cluster of this checkout
        command += ["--kubeconfig", kubeconfig]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    loads = json.loads(file.read_text())["loads"]
    return {key: load["rounds"][0] for key, load in loads.items()}


@pytest.mark.integration
@pytest.mark.timeout(SECONDS + 20)
def test_quick_bench_creates_one_pod_for_each_job(bench):
    assert bench.keys() == PODS.keys()
    for key, found in bench.items():
        assert found.keys() == {"bare", "operator", "without-finalizer"}
        for contestant, measured in found.items():
            counts = measured["counts"]
            assert counts["pods"] == PODS[key], contestant
            assert measured["figures"]["total"] > 0
            if contestant != "bare" and key in RUNS:
                assert counts["runs"] == RUNS[key]
                assert counts["call create pods"] == PODS[key]
                finalizers = PODS[key] if contestant == "operator" else 0
                assert counts.get("call patch pods", 0) == finalizers


@pytest.mark.integration
def test_a_run_of_one_job_takes_few_requests(bench):
    measured = bench[BURST]["operator"]
    patches = measured["figures"]["call patch gradientruns"]
    assert patches <= 1 + measured["figures"]["total"], "a slow run has one in a second"
    assert "call get gradientruns" not in measured["counts"]
    assert "call get pods" not in measured["counts"]


@pytest.mark.integration
def test_a_status_is_small_and_written_once_a_second(bench):
    figures = bench[FAN_OUT]["operator"]["figures"]
    assert figures["status"] <= 250, "bytes for each job"
    assert figures["writes"] <= figures["total"] + 3, "the first and the last one come besides"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("load", "figure", "most"), [("B1", "p50", 4), (FAN_OUT, "total", 5), (BURST, "total", 5)]
)
def test_the_operator_keeps_up_with_a_bare_client(bench, load, figure, most):
    """A slip of the machine stays below; work that has become quadratic, or a wait, does not."""
    bare, operator = (bench[load][one]["figures"][figure] for one in ("bare", "operator"))
    assert operator <= most * bare


@pytest.mark.integration
def test_a_run_takes_little_processor_time(bench):
    figures = bench[BURST]["operator"]["figures"]
    assert figures["cpu_each"] <= 40, "milliseconds, where a quiet machine takes a tenth of it"
