"""Keys of other formats, and keys in the wrong place, are named with what to write instead."""

import pytest

from gradient_operator.workflow.lint import lint

FILE = """\
on:
  github: {branches: {only: main}}
jobs:
  Train:
    resources: {instance-type: C4}
    inputs:
      data: {type: dataset, with: {ref: cats}}
    uses: script@v1
    with:
      image: bash:5
      script: date
"""
KEYS = {
    "name: x": ("top", "github-actions-key", "remove the line"),
    "env: {A: b}": ("top", "misplaced-key", "under `defaults`"),
    "version: '3'": ("top", "docker-key", "no version"),
    "stages: [a]": ("top", "gitlab-key", "`needs`"),
    "branches: {only: main}": ("top", "misplaced-key", "under `on.github`"),
    "uses: script@v1": ("top", "misplaced-key", "below the name of its job"),
    "push: {branches: [main]}": ("on", "github-actions-trigger", "only: BRANCH"),
    "pull_request: {}": ("on", "github-actions-trigger", "pushes"),
    "workflow_dispatch:": ("on", "github-actions-trigger", "manual"),
    "runs-on: ubuntu-latest": ("job", "github-actions-key", "instance-type"),
    "steps: []": ("job", "github-actions-key", "`script` under `with`"),
    "run: date": ("job", "github-actions-key", "script@v1"),
    "stage: build": ("job", "gitlab-key", "`needs`"),
    "when: delayed": ("job", "gitlab-key", "`if`"),
    "script: date": ("job", "misplaced-key", "under `with`"),
    "url: bash": ("job", "misplaced-key", "under `with`"),
    "instance-type: C4": ("job", "misplaced-key", "under `resources`"),
    "ports: [80]": ("job", "docker-key", "ports"),
    "depends_on: [a]": ("job", "docker-key", "`needs`"),
    "containerRegistry: a": ("job", "deployments-key", "container-registries"),
    "dockerfile: a": ("with", "docker-key", "build it elsewhere"),
    "env: {A: b}  ": ("with", "misplaced-key", "indentation of `with`"),
    "registry: a": ("with", "deployments-key", "container-registries"),
    "ref: cats": ("slot", "misplaced-key", "under `with`"),
    "imge: bash": ("with", "unknown-key", "did you mean 'image'?"),
    "Needs: [a]": ("job", "unknown-key", "did you mean 'needs'?"),
    "ouputs: {}": ("job", "unknown-key", "did you mean 'outputs'?"),
    "instanceType: C4": ("resources", "unknown-key", "did you mean 'instance-type'?"),
}


def with_key(place, line):
    """The file with a line more."""
    if place == "resources":
        return FILE.replace("instance-type: C4}", f"instance-type: C4, {line}}}")
    if place == "slot":
        return FILE.replace("{type: dataset,", f"{{type: dataset, {line},")
    after = {"top": "", "on": "on:\n", "job": "  Train:\n", "with": "    with:\n"}[place]
    indentation = {"top": "", "on": "  ", "job": "    ", "with": "      "}[place]
    head, tail = FILE.split(after, 1) if after else ("", FILE)
    return f"{head}{after}{indentation}{line}\n{tail}"


@pytest.mark.parametrize(("line", "expected"), KEYS.items(), ids=KEYS)
def test_a_key_is_named_with_what_to_write_instead(line, expected):
    place, rule, says = expected
    (finding,) = lint(with_key(place, line).encode(), source="f").findings
    assert finding.rule == rule
    assert says in finding.message


@pytest.mark.parametrize("value", ["push", "[push]", "[push, pull_request]"])
def test_a_trigger_that_is_a_name_alone_is_one_of_github_actions(value):
    text = FILE.replace("on:\n  github: {branches: {only: main}}", f"on: {value}")
    (finding,) = lint(text.encode(), source="f").findings
    assert (finding.rule, finding.span.line) == ("github-actions-trigger", 1)


def test_the_keys_of_a_job_that_stand_too_far_left_are_said_once_each():
    text = "jobs:\n  Train:\n  uses: script@v1\n  with:\n    image: x\n    script: |-\n      date\n"
    found = lint(text.encode(), source="f").findings
    assert [(each.rule, each.span.line) for each in found] == [
        ("wrong-value", 2),
        ("misplaced-key", 3),
        ("misplaced-key", 4),
    ]


def test_a_job_may_be_called_like_a_key():
    text = FILE.replace("Train:", "outputs:").replace("      image: bash:5\n", "      imag: x\n")
    (finding,) = lint(text.encode(), source="f").findings
    assert finding.message.startswith("jobs.outputs.with.imag: ")


def test_a_job_that_stands_beside_the_jobs_is_said_to_be_one():
    text = "jobs:\nTrain:\n  uses: script@v1\n  with: {image: x, script: date}\n"
    found = lint(text.encode(), source="f").findings
    assert ("misplaced-key", "Train: is a job: indent it below `jobs`") in [
        (each.rule, each.message) for each in found
    ]
