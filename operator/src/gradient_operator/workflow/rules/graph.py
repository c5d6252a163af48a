"""Rules about jobs and what they need."""

from typing import Final

from gradient_operator.workflow.rules.model import Rule

_RIGHT: Final = """\
defaults:
  resources: {instance-type: C5}
jobs:
  Prepare:
    outputs:
      images: {type: volume}
    uses: script@v1
    with: {image: "bash:5", script: date >/outputs/images/made}
  Train:
    needs: [Prepare]
    inputs:
      images: Prepare.outputs.images
    uses: script@v1
    with: {image: "bash:5", script: cat /inputs/images/made}
"""

RULES: Final = (
    Rule(
        id="no-jobs",
        severity="error",
        title="The workflow has no job",
        why="There is nothing to run. Write at least one job under `jobs`.",
        wrong="jobs: {}\n",
        right=_RIGHT,
    ),
    Rule(
        id="unknown-need",
        severity="error",
        title="`needs` names a job that does not exist",
        why="Upper and lower case count. The message names the nearest job.",
        wrong=_RIGHT.replace("[Prepare]", "[prepare]"),
        right=_RIGHT,
    ),
    Rule(
        id="self-need",
        severity="error",
        title="A job needs itself",
        why="It could never start. Remove its name from its own `needs`.",
        wrong=_RIGHT.replace("[Prepare]", "[Prepare, Train]"),
        right=_RIGHT,
    ),
    Rule(
        id="cycle",
        severity="error",
        title="Jobs need each other in a circle",
        why="None of them could ever start. The message walks along the circle: remove one of "
        "its needs, or split the job that stands on both sides.",
        wrong=_RIGHT.replace("  Prepare:\n", "  Prepare:\n    needs: [Train]\n"),
        right=_RIGHT,
    ),
    Rule(
        id="missing-need",
        severity="warning",
        title="An input comes from a job that is not under `needs`",
        why="The hosted service asked for both. Here the job is taken as a need, so that the "
        "run works; write it down, so that a reader sees the order too.",
        wrong=_RIGHT.replace("    needs: [Prepare]\n", ""),
        right=_RIGHT,
    ),
    Rule(
        id="no-instance-type",
        severity="error",
        title="A job names no machine",
        why="Each job runs on a machine type: give it `resources.instance-type`, or one for "
        "all jobs under `defaults.resources`.",
        wrong=_RIGHT.replace("defaults:\n  resources: {instance-type: C5}\n", "").replace(
            "  Prepare:\n", "  Prepare:\n    resources: {instance-type: C5}\n"
        ),
        right=_RIGHT,
    ),
    Rule(
        id="unknown-machine",
        severity="warning",
        title="A machine type is none of the hosted service's",
        why="Its names are C4, P4000, A100x8 and so on, in any case; the message names the "
        "nearest. A cluster may have types of its own (`kubectl get gin`): then all is "
        "well. `gradient lint` alone says this, the operator knows what its cluster has.",
        wrong=_RIGHT.replace("C5", "C55"),
        right=_RIGHT,
    ),
)
