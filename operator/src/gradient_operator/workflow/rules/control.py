"""Rules about what GitHub Actions has and the hosted service had not: conditions and matrices."""

from typing import Final

from gradient_operator.api.base import MAX_JOBS
from gradient_operator.workflow.rules.model import Rule

_RIGHT: Final = """\
defaults:
  resources: {instance-type: C5}
jobs:
  Train:
    strategy:
      matrix:
        rate: [0.1, 0.01]
    outputs:
      model: {type: dataset, with: {ref: "flowers-${{ matrix.rate }}"}}
    uses: script@v1
    with: {image: "bash:5", script: "echo ${{ matrix.rate }} >/outputs/model/rate"}
  Choose:
    needs: [Train]
    inputs:
      models: Train.outputs.model
    outputs:
      accuracy: {type: string}
    uses: script@v1
    with: {image: "bash:5", script: "echo 0.93 >/outputs/accuracy"}
  Announce:
    needs: [Choose]
    if: double(needs.Choose.outputs.accuracy) > 0.9
    uses: script@v1
    with: {image: "bash:5", script: "echo good"}
"""

_MANY: Final = """\
jobs:
  Try1: &job
    strategy:
      matrix: {seed: &list [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], rate: *list}
    resources: {instance-type: P4000}
    uses: script@v1
    with: {image: "python:3.12", script: "echo ${{ matrix.seed }} ${{ matrix.rate }}"}
""" + "".join(f"  Try{number}: *job\n" for number in range(2, 10))

RULES: Final = (
    Rule(
        id="bad-condition",
        severity="error",
        title="`if` is no condition",
        why="A condition names inputs (`inputs.NAME`), the jobs under `needs` "
        "(`needs.JOB.result`, `needs.JOB.outputs.NAME`) and the functions `success()`, "
        "`failure()`, `always()` and `cancelled()`. Outputs are text: to compare one with a "
        "number, make a number of it. See [control flow](../control-flow.md).",
        wrong=_RIGHT.replace(
            "double(needs.Choose.outputs.accuracy)", "needs.Choose.outputs.accuracy"
        ),
        right=_RIGHT,
    ),
    Rule(
        id="bad-matrix",
        severity="error",
        title="`strategy.matrix` makes no combinations",
        why="Under `matrix` each key has a list of plain values; `include` and `exclude` have "
        "lists of maps. At most 256 combinations may come out, and at least one.",
        wrong=_RIGHT.replace("rate: [0.1, 0.01]", "rate: []").replace("${{ matrix.rate }}", "r"),
        right=_RIGHT,
    ),
    Rule(
        id="unknown-matrix-key",
        severity="error",
        title="A job uses a value that its matrix does not have",
        why="`${{ matrix.KEY }}` stands for the value of a key under `strategy.matrix` of the "
        "same job. The message names the nearest key.",
        wrong=_RIGHT.replace('script: "echo ${{ matrix.rate }}', 'script: "echo ${{ matrix.rat }}'),
        right=_RIGHT,
    ),
    Rule(
        id="too-many-jobs",
        severity="error",
        title="The workflow has too many jobs with all combinations of its matrices",
        why=f"Each combination is a job, and a run holds at most {MAX_JOBS:,} jobs: beyond that "
        "its status would not fit into one object. Split the workflow, or the matrix.",
        wrong=_MANY,
        right=_MANY.replace(", 9, 10, 11, 12, 13, 14, 15, 16", ""),
    ),
)
