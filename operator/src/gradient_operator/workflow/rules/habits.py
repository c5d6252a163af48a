"""Rules about keys that are right elsewhere: in other formats, or in another place of this one."""

from typing import Final

from gradient_operator.workflow.rules.model import Rule

_RIGHT: Final = """\
on:
  github: {branches: {only: main}}
defaults:
  resources: {instance-type: P4000}
jobs:
  Train:
    uses: script@v1
    with:
      image: python:3.12
      script: |-
        python train.py
"""
_PRIVATE: Final = _RIGHT.replace(
    "instance-type: P4000", "instance-type: P4000, container-registries: [team]"
)

RULES: Final = (
    Rule(
        id="github-actions-key",
        severity="error",
        title="A key is of GitHub Actions",
        why="Both formats look alike, and few keys are the same. The message says what to write "
        "instead: `runs-on` is `resources.instance-type`, each step is a job, `run` is the "
        "`script` of `script@v1`. The keys `if`, `strategy.matrix`, `timeout-minutes`, "
        "`continue-on-error` and `concurrency` exist here too.",
        wrong=_RIGHT.replace("    uses", "    runs-on: ubuntu-latest\n    uses"),
        right=_RIGHT,
    ),
    Rule(
        id="github-actions-trigger",
        severity="error",
        title="A trigger is of GitHub Actions",
        why="Under `on` stand `github` (pushes, by branch or tag), `schedule` and `manual`. Pull "
        "requests start nothing.",
        wrong=_RIGHT.replace("  github: {branches: {only: main}}", "  push: {branches: [main]}"),
        right=_RIGHT,
    ),
    Rule(
        id="gitlab-key",
        severity="error",
        title="A key is of GitLab CI",
        why="Jobs start as soon as their `needs` have succeeded, there are no stages. The "
        "message says what to write instead.",
        wrong=_RIGHT.replace("    uses", "    stage: train\n    uses"),
        right=_RIGHT,
    ),
    Rule(
        id="docker-key",
        severity="error",
        title="A key is of Docker, its builds or Compose",
        why="`container@v1` runs an image that exists: nothing here builds one, publishes ports "
        "or mounts folders of a machine. Build the image elsewhere; pass files on as volumes and "
        "datasets.",
        wrong=_RIGHT.replace("      image", "      dockerfile: Dockerfile\n      image"),
        right=_RIGHT,
    ),
    Rule(
        id="deployments-key",
        severity="error",
        title="A key is of Gradient Deployments",
        why="The page on private images of the hosted service shows `containerRegistry`, which "
        "no workflow ever took. In a workflow the names stand in `container-registries`, under "
        "`defaults.resources`.",
        wrong=_RIGHT.replace("      image", "      containerRegistry: team\n      image"),
        right=_PRIVATE,
    ),
    Rule(
        id="misplaced-key",
        severity="error",
        title="A key of the format stands in the wrong place",
        why="Most often the indentation is a step too small or too large. The message says where "
        "the key belongs.",
        wrong=_RIGHT.replace("      script", "    script"),
        right=_RIGHT,
    ),
    Rule(
        id="script-list",
        severity="error",
        title="A script is a list of lines",
        why="GitLab takes a list, here the script is one text. Write `script: |-` and the lines "
        "below it, indented and without dashes.",
        wrong=_RIGHT.replace("script: |-\n        python", "script:\n        - python"),
        right=_RIGHT,
    ),
    Rule(
        id="bad-name",
        severity="error",
        title="A name has characters that no name may have",
        why="Jobs, inputs and outputs are named by letters, digits, `-` and `_`, at most 63 of "
        "them, with a letter or digit first.",
        wrong=_RIGHT.replace("  Train:", "  Train the model:"),
        right=_RIGHT,
    ),
)
