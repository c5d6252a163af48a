"""Rules about single keys and values: their names and their types."""

from typing import Final

from gradient_operator.workflow.rules.model import Rule

_RIGHT: Final = """\
jobs:
  Train:
    resources: {instance-type: P4000}
    env: {EPOCHS: "10"}
    outputs:
      model: {type: dataset, with: {ref: flowers-model}}
    uses: script@v1
    with:
      image: python:3.12
      script: |-
        python train.py --out /outputs/model
"""

RULES: Final = (
    Rule(
        id="unknown-key",
        severity="error",
        title="A key is not part of the format",
        why="The hosted service refused such files; passed over in silence, a misspelt `ouputs` "
        "would lose the results of a run. The message names the nearest key that stands there.",
        wrong=_RIGHT.replace("outputs:", "ouputs:"),
        right=_RIGHT,
    ),
    Rule(
        id="wrong-value",
        severity="error",
        title="A value has the wrong type",
        why="The format wants strings nearly everywhere, and YAML makes numbers and booleans of "
        'unquoted text: write `"10"`, `"true"`, `"-"`. Lists and blocks of keys are no text; a '
        "single name where a list is wanted goes into brackets, as in `needs: [Train]`.",
        wrong=_RIGHT.replace('"10"', "10"),
        right=_RIGHT,
    ),
    Rule(
        id="unknown-job-name",
        severity="error",
        title="`policy.jobs` speaks of a job that there is not",
        why="What it says would hold nowhere, and nobody would notice. Jobs are named as the file "
        "has them; one entry holds for all combinations of a matrix. A file without `policy` is "
        "never refused for this.",
        wrong=_RIGHT + "policy:\n  jobs:\n    Trian: {outOfMemory: {retries: 1}}\n",
        right=_RIGHT + "policy:\n  jobs:\n    Train: {outOfMemory: {retries: 1}}\n",
    ),
    Rule(
        id="env-name",
        severity="error",
        title="A variable has a name that no environment can hold",
        why="Kubernetes takes letters, digits, `_`, `-` and `.` in the name of a variable, and "
        "no digit at its beginning; shells take the first three only.",
        wrong=_RIGHT.replace("EPOCHS:", "NUMBER OF EPOCHS:"),
        right=_RIGHT,
    ),
    Rule(
        id="reserved-name",
        severity="error",
        title="A job is called `workflow`",
        why="References begin with the name of a job, and `workflow.inputs.…` means the inputs "
        "of the workflow. Give the job another name.",
        wrong=_RIGHT.replace("Train:", "workflow:"),
        right=_RIGHT,
    ),
    Rule(
        id="dotted-name",
        severity="error",
        title="The name of a job or output has a dot",
        why="References separate their parts by dots (`Train.outputs.model`), so none could name "
        "it. Use `-` or `_`.",
        wrong=_RIGHT.replace("model:", "model.v1:").replace("/outputs/model", "/outputs/model.v1"),
        right=_RIGHT,
    ),
)
