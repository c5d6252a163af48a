"""Rules about what is valid and yet surprises people. All of them warn."""

from typing import Final

from gradient_operator.workflow.rules.model import Rule

_RIGHT: Final = """\
defaults:
  resources: {instance-type: P4000}
jobs:
  Train:
    outputs:
      model: {type: dataset, with: {ref: flowers-model}}
    uses: script@v1
    with: {image: "bash:5", script: date >/outputs/model/made}
  Test:
    needs: [Train]
    inputs:
      model: Train.outputs.model
    uses: script@v1
    with: {image: "bash:5", script: cat /inputs/model/made}
"""
_SECOND: Final = """\
  TrainLarge:
    outputs:
      model: {type: dataset, with: {ref: flowers-model}}
    uses: script@v1
    with: {image: "bash:5", script: date >/outputs/model/made}
"""

RULES: Final = (
    Rule(
        id="two-writers",
        severity="warning",
        title="Two jobs write one dataset at the same time",
        why="Each makes a version of its own, and the last to end makes the latest: which one "
        "that is differs from run to run. Name two datasets, or let one job need the other.",
        wrong=_RIGHT.replace("  Test:", f"{_SECOND}  Test:"),
        right=_RIGHT,
    ),
    Rule(
        id="old-version",
        severity="warning",
        title="A job reads a dataset as it was before the run, though the run writes it",
        why="The versions that a run reads are fixed when it starts. To use what an earlier job "
        "of the same run made, take it from that job: `JOB.outputs.NAME`.",
        wrong=_RIGHT.replace("Train.outputs.model", "{type: dataset, with: {ref: flowers-model}}"),
        right=_RIGHT,
    ),
    Rule(
        id="no-effect",
        severity="warning",
        title="A key of the format has no effect",
        why="`timeout` stands in the schema of the hosted service, which never said what it "
        "does. Write `timeout-minutes` instead: it ends the job when it has run that long.",
        wrong=_RIGHT.replace("    needs: [Train]\n", "    needs: [Train]\n    timeout: 3600\n"),
        right=_RIGHT,
    ),
)
