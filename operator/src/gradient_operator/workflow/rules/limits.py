"""Rules about sizes that the cluster sets."""

from typing import Final

from gradient_operator.workflow.rules.model import Rule

_RIGHT: Final = """\
jobs:
  Train:
    resources: {instance-type: P4000}
    uses: script@v1
    with:
      image: python:3.12
      script: echo go
"""

_WIDE: Final = """\
jobs:
  Try: &job
    strategy: {matrix: {seed: &twelve [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], rate: *twelve}}
    resources: {instance-type: P4000}
    uses: script@v1
    with: {image: "python:3.12", script: "echo ${{ matrix.seed }} ${{ matrix.rate }}"}
  Judge:
    <<: *job
    needs: [Try]
"""

RULES: Final = (
    Rule(
        id="text-too-long",
        severity="error",
        title="A script, argument or variable is longer than Linux takes",
        why="Linux refuses to start a program with an argument or variable of 128 KiB and more. "
        "Put the text into a file, in a repository or a dataset.",
        wrong=_RIGHT.replace("go", "go …"),
        right=_RIGHT,
        ellipsis=131_072,
    ),
    Rule(
        id="strings-too-large",
        severity="error",
        title="The strings that a job takes are too large together",
        why="Strings travel with the Pod, which takes 192 KiB of them. Hand large text on as a "
        "dataset.",
        wrong=_RIGHT.replace(
            "    uses",
            "    inputs:\n      note: {type: string, with: {value: …}}\n    uses",
        ),
        right=_RIGHT,
        ellipsis=196_609,
    ),
    Rule(
        id="too-many-needs",
        severity="error",
        title="The jobs have too many needs together",
        why="At most 20,000 names fit into the `needs` of all jobs. Put a job between that "
        "gathers, instead of letting every job need every other. With matrices, each combination "
        "needs each combination of the job before.",
        wrong=_WIDE,
        right=_WIDE.replace("[Try]", "[Gather]")
        + """\
  Gather:
    resources: {instance-type: C4}
    uses: script@v1
    with: {image: "python:3.12", script: echo all are tried}
    needs: [Try]
""",
    ),
)
