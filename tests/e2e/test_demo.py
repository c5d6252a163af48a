"""The demo, as `make demo` runs it: a pipeline on real data from nothing to a picture."""

import json
import re
import sys
from pathlib import Path

from tests.e2e.cluster import Cluster, command


async def test_the_demo_runs_to_its_end_and_shows_what_it_made(
    cluster: Cluster, tmp_path: Path
) -> None:
    shown = command([sys.executable, "-m", "hack.demo"], seconds=900).stdout
    accuracy = float(re.findall(r"Accuracy of the model: ([0-9.]+)", shown)[0])
    assert accuracy > 0.9
    model = re.findall(r"Deploying model (\S+), accuracy", shown)[0]
    demo = Cluster(cluster.client, "demo")
    found = json.loads(demo.kubectl("get", "gradientmodel", model, "-o", "json").stdout)
    assert found["spec"]["dataset"] == "digits-model"
    assert "7/7 jobs finished" in shown
    assert re.search(r"Train\s+Succeeded\s+\S+\s+P4000\s+gpu-1", shown)
    demo.gradient("dataset", "get", "digits-predictions", str(tmp_path / "picture"))
    pictures = list((tmp_path / "picture").glob("*.png"))
    assert pictures
    assert pictures[0].read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
