"""Rules about what starts a run, what it is asked for, and which runs exclude each other."""

from typing import Final

from gradient_operator.workflow.rules.model import Rule

_JOBS: Final = """\
jobs:
  Train:
    resources: {instance-type: P4000}
    uses: script@v1
    with:
      image: python:3.12
      script: python train.py
"""
_SCHEDULE: Final = f"""\
on:
  schedule:
    - cron: '30 6 * * MON-FRI'
      timezone: Europe/Berlin
{_JOBS}"""
_ASKED: Final = """\
on:
  manual:
    inputs:
      size: {type: choice, options: [small, large], default: small}
jobs:
  Train:
    resources: {instance-type: P4000}
    inputs: {size: workflow.inputs.size}
    uses: script@v1
    with:
      image: python:3.12
      script: python train.py --size "$(cat /inputs/size)"
"""
_OPTIONS: Final = "options: [small, large], default: small"

RULES: Final = (
    Rule(
        id="bad-schedule",
        severity="error",
        title="An entry of `on.schedule` cannot be read",
        why="`cron` has five fields: minute, hour, day of month, month, day of week, with names as "
        "`MON` and `JAN`. `timezone` is a name of the IANA database; without it times are UTC.",
        wrong=_SCHEDULE.replace("30 6 * * MON-FRI", "@daily"),
        right=_SCHEDULE,
    ),
    Rule(
        id="scheduled-input",
        severity="error",
        title="A scheduled run would need a value that nobody gives",
        why="A run that `on.schedule` starts takes the defaults of all inputs. Write one.",
        wrong=_ASKED.replace("on:\n", "on:\n  schedule: [{cron: '30 6 * * *'}]\n").replace(
            _OPTIONS, "options: [small, large], required: true"
        ),
        right=_ASKED.replace("on:\n", "on:\n  schedule: [{cron: '30 6 * * *'}]\n"),
    ),
    Rule(
        id="manual-input",
        severity="error",
        title="An input of `on.manual`, or a value given for it, contradicts its type",
        why="A `number` is a number, a `boolean` is `true` or `false`, a `choice` is one of its "
        "`options`; the default must be so, too, and so must what a run is started with.",
        wrong=_ASKED.replace("default: small", "default: medium"),
        right=_ASKED,
    ),
    Rule(
        id="duplicate-input",
        severity="error",
        title="An input stands under `inputs` and under `on.manual.inputs`",
        why="Both are taken as `workflow.inputs.NAME`, so that the name would have two meanings.",
        wrong=_ASKED.replace("jobs:", "inputs:\n  size: {type: string, with: {value: x}}\njobs:"),
        right=_ASKED,
    ),
    Rule(
        id="literal-expression",
        severity="warning",
        title="An expression in the name of a group is taken as it stands",
        why="Only `${{ workflow }}` and `${{ inputs.NAME }}` are filled in. All runs with another "
        "expression are in one group, whatever it would have said elsewhere.",
        wrong=f"concurrency: train-${{{{ github.ref }}}}\n{_JOBS}",
        right=f"concurrency: train-${{{{ workflow }}}}\n{_JOBS}",
    ),
    Rule(
        id="several-branches",
        severity="error",
        title="A filter names several branches in one text",
        why="It is taken as one name, which no branch has, so that no push would start a run. "
        "Write a list under `include`.",
        wrong=f"on:\n  github: {{branches: {{only: 'main, dev'}}}}\n{_JOBS}",
        right=f"on:\n  github: {{branches: {{include: [main, dev]}}}}\n{_JOBS}",
    ),
)
