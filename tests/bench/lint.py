"""How long `gradient lint` takes: whole processes, from the shell's view, start-up included.

python -m tests.bench.lint
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

FILES: Final = 1_000
JOBS: Final = 7
ROUNDS: Final = 5
JOB: Final = """\
  Job{at}:
    resources:
      instance-type: C4
    needs: [{needs}]
    inputs: {{{inputs}}}
    outputs:
      data:
        type: dataset
        with: {{ref: data-{at}}}
    uses: script@v1
    with:
      image: python:3.12
      script: |-
        cp -R /inputs/data/. /outputs/data
"""


def main() -> int:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory(prefix="gradient-lint-") as name:
        folder = Path(name)
        text = workflow()
        for at in range(FILES):
            (folder / f"{at}.yaml").write_text(text)
        lines = text.count("\n")
        print(f"| files of {lines} lines | seconds, median of {ROUNDS} | shortest |")
        print("| --- | --- | --- |")
        for count, target in ((1, folder / "0.yaml"), (FILES, folder)):
            taken = [measure(target) for _ in range(ROUNDS)]
            print(f"| {count:,} | {statistics.median(taken):.2f} | {min(taken):.2f} |")
    return 0


def workflow() -> str:
    """A chain of jobs, each of which takes what the one before makes."""
    jobs = [
        JOB.format(
            at=at,
            needs=f"Job{at - 1}" if at else "",
            inputs=f"data: Job{at - 1}.outputs.data" if at else "",
        )
        for at in range(JOBS)
    ]
    return f"jobs:\n{''.join(jobs)}"


def measure(target: Path) -> float:
    """Seconds that a process takes; it must find nothing wrong."""
    command = [str(Path(sys.executable).parent / "gradient"), "lint", str(target)]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
