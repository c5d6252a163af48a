"""The bench runs and counts right. What it measures on a busy machine means nothing here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.model import QUICK

ROOT = Path(__file__).parents[3]
SECONDS = 600
PODS = {
    "B1": (QUICK.chains + 1) * QUICK.chain,
    "B2": QUICK.width + 2,
    "B3": QUICK.burst,
}
"""Pods of each load."""
RUNS = {"B2": 1, "B3": QUICK.burst}


@pytest.mark.integration
@pytest.mark.timeout(SECONDS + 20)
def test_quick_bench_creates_one_pod_for_each_job(tmp_path):
    file = tmp_path / "bench.json"
    command = [sys.executable, "-m", "tests.bench", "--quick", "--json", file]
    kubeconfig = os.environ.get("GRADIENT_TEST_KUBECONFIG")
    if kubeconfig:  # else the bench finds or starts the cluster of this checkout
        command += ["--kubeconfig", kubeconfig]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    loads = json.loads(file.read_text())["loads"]
    assert loads.keys() == PODS.keys()
    for key, load in loads.items():
        (found,) = load["rounds"]
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
