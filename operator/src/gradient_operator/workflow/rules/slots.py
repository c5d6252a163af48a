"""Rules about inputs and outputs, and the references between them."""

from typing import Final

from gradient_operator.workflow.rules.model import Rule

_RIGHT: Final = """\
inputs:
  flowers: {type: dataset, with: {ref: flowers}}
defaults:
  resources: {instance-type: C5}
jobs:
  Train:
    inputs:
      flowers: workflow.inputs.flowers
    outputs:
      model: {type: dataset, with: {ref: flowers-model}}
    uses: script@v1
    with: {image: "bash:5", script: cp /inputs/flowers/list /outputs/model}
  Test:
    needs: [Train]
    inputs:
      model: Train.outputs.model
      note: {type: string, with: {value: first try}}
    uses: script@v1
    with: {image: "bash:5", script: cat /inputs/model/list}
"""
_ASKS: Final = """\
inputs:
  flowers: {type: dataset}
jobs:
  Train:
    resources: {instance-type: C5}
    inputs:
      flowers: workflow.inputs.flowers
    uses: script@v1
    with: {image: "bash:5", script: ls /inputs/flowers}
"""
_GIVEN: Final = _ASKS.replace("{type: dataset}", "{type: dataset, with: {ref: mine}}")

RULES: Final = (
    Rule(
        id="bad-reference",
        severity="error",
        title="A reference has none of the forms that exist",
        why="An input of a job is `JOB.outputs.NAME` or `workflow.inputs.NAME`: three parts, no "
        "expression. A dataset is `NAME`, `NAME:VERSION`, `NAME:TAG` or `NAMESPACE/NAME`, without "
        "spaces and variables.",
        wrong=_RIGHT.replace("Train.outputs.model", "Train.outputs.model.list"),
        right=_RIGHT,
    ),
    Rule(
        id="unknown-job",
        severity="error",
        title="An input comes from a job that does not exist",
        why="Upper and lower case count. The message names the nearest job.",
        wrong=_RIGHT.replace("Train.outputs", "Trian.outputs"),
        right=_RIGHT,
    ),
    Rule(
        id="unknown-output",
        severity="error",
        title="An input comes from an output that its job does not have",
        why="A job hands on only what stands under its `outputs`. The message names the nearest.",
        wrong=_RIGHT.replace("Train.outputs.model", "Train.outputs.modle"),
        right=_RIGHT,
    ),
    Rule(
        id="unknown-input",
        severity="error",
        title="A job takes an input that the workflow does not have",
        why="`workflow.inputs.NAME` is declared under `inputs` at the top of the file.",
        wrong=_RIGHT.replace("workflow.inputs.flowers", "workflow.inputs.flower"),
        right=_RIGHT,
    ),
    Rule(
        id="self-input",
        severity="error",
        title="A job takes one of its own outputs as input",
        why="An output exists once its job has ended. Name the job that makes it, or read what "
        "the job wrote under `/outputs`.",
        wrong=_RIGHT.replace("workflow.inputs.flowers", "Train.outputs.model"),
        right=_RIGHT,
    ),
    Rule(
        id="no-ref",
        severity="error",
        title="A dataset does not say which one it is",
        why="A dataset needs `with.ref`, the name of the dataset that is read or written.",
        wrong=_RIGHT.replace("{type: dataset, with: {ref: flowers-model}}", "{type: dataset}"),
        right=_RIGHT,
    ),
    Rule(
        id="no-value",
        severity="error",
        title="A string has no value",
        why="An input of type `string` that a job declares itself needs `with.value`.",
        wrong=_RIGHT.replace("{type: string, with: {value: first try}}", "{type: string}"),
        right=_RIGHT,
    ),
    Rule(
        id="input-type",
        severity="error",
        title="A workflow input is neither a dataset nor a string",
        why="A run is given datasets and strings. A volume lives as long as the run: declare it "
        "as an output of the job that fills it.",
        wrong=_RIGHT.replace("{type: dataset, with: {ref: flowers}}", "{type: volume}"),
        right=_RIGHT,
    ),
    Rule(
        id="output-version",
        severity="warning",
        title="An output names a version of its dataset",
        why="Versions never change: a run makes a new one, whatever stands here behind the colon. "
        "Name the dataset alone.",
        wrong=_RIGHT.replace("flowers-model", "flowers-model:v1"),
        right=_RIGHT,
    ),
    Rule(
        id="output-namespace",
        severity="warning",
        title="An output names a dataset of another namespace",
        why="A run writes into its own namespace; others read it as `NAMESPACE/NAME` where the "
        "dataset allows it.",
        wrong=_RIGHT.replace("flowers-model", "vision/flowers-model"),
        right=_RIGHT,
    ),
    Rule(
        id="missing-input",
        severity="error",
        title="A run was given no value for an input without a default",
        why="Start it with `--input NAME=VALUE`, or write a default under `with`.",
        wrong=_ASKS,
        right=_ASKS.replace("{type: dataset}", "{type: dataset, with: {ref: flowers}}"),
        given={},
    ),
    Rule(
        id="unknown-given",
        severity="error",
        title="A run was given a value for an input that the workflow does not have",
        why="The names of inputs stand under `inputs` at the top of the file; the message names "
        "the nearest.",
        wrong=_GIVEN.replace("flowers", "photos"),
        right=_GIVEN,
        given={"flowers": "flowers:latest"},
    ),
)
