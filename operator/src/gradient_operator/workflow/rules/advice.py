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
_HEREDOC: Final = """\
jobs:
  Train:
    resources: {instance-type: P4000}
    uses: script@v1
    with:
      image: python:3.12
      script: |-
        python - <<EOF
        print("hello")
        EOF
        echo done
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
    Rule(
        id="unused-output",
        severity="warning",
        title="No job takes a volume or string that a job makes",
        why="Both end with the run. Remove the output, give it to a job under `inputs`, or make "
        "it a dataset to keep it.",
        wrong=_RIGHT.replace("    outputs:\n", "    outputs:\n      log: {type: volume}\n"),
        right=_RIGHT,
    ),
    Rule(
        id="undeclared-output",
        severity="warning",
        title="A program writes below `/outputs` where the job has no output",
        why="What lies there is lost when the job ends: only declared outputs are kept, each "
        "under its own name, `/outputs/NAME`. Declare it, or correct the path.",
        wrong=_RIGHT.replace("/outputs/model/made", "/outputs/models/made"),
        right=_RIGHT,
    ),
    Rule(
        id="undeclared-input",
        severity="warning",
        title="A program reads below `/inputs` what the job has no input for",
        why="Only what stands under `inputs` is there, each under its own name, `/inputs/NAME`, "
        "which may differ from the name of the output it comes from.",
        wrong=_RIGHT.replace("/inputs/model/made", "/inputs/models/made"),
        right=_RIGHT,
    ),
    Rule(
        id="open-heredoc",
        severity="warning",
        title="A heredoc in a script has no end",
        why="The shell looks for the closing word alone at the beginning of a line; without it, "
        "all the rest of the script becomes part of the text. YAML removes the indentation of the "
        "script's first line from all lines: give the closing word just that indentation.",
        wrong=_HEREDOC.replace("        EOF", "          EOF"),
        right=_HEREDOC,
    ),
    Rule(
        id="literal-placeholder",
        severity="warning",
        title="A placeholder is taken as it stands",
        why="No template language is filled in: `${{ … }}` and `${inputs.…}` reach the program, "
        "where a shell says *bad substitution*. Values come as variables (`env`) and as files "
        "under `/inputs`. `secret:NAME` is filled in where it is the whole value of a variable or "
        "of a parameter for credentials.",
        wrong=_HEREDOC.replace("echo done", "echo ${{ github.sha }}"),
        right=_HEREDOC,
    ),
)
