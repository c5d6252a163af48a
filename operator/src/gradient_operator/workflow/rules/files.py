"""Rules about the text of a file, before anybody asks what its keys mean."""

from typing import Final

from gradient_operator.workflow.rules.model import Rule

_RIGHT: Final = """\
jobs:
  Train:
    resources:
      instance-type: P4000
    uses: script@v1
    with:
      image: python:3.12
      script: |-
        python train.py
        echo done
"""

RULES: Final = (
    Rule(
        id="yaml-syntax",
        severity="error",
        title="The text is no YAML",
        why="The place is where the reader gave up; the mistake is often a line above: an "
        "indentation that differs from its neighbours, a quote or bracket that is not closed, "
        "text with `: ` or a leading `@`, `%` or backquote that wants quotes.",
        wrong=_RIGHT.replace("      image", "     image"),
        right=_RIGHT,
    ),
    Rule(
        id="yaml-tab",
        severity="error",
        title="A tab stands in the indentation",
        why="YAML takes spaces only in front of a key or an item. Let the editor replace tabs by "
        "spaces. Inside of a script, after its indentation, tabs are text like any other.",
        wrong=_RIGHT.replace("    resources", "\tresources"),
        right=_RIGHT,
    ),
    Rule(
        id="script-indent",
        severity="error",
        title="A line ends the script too early",
        why="A text after `|` or `>` goes on as long as its lines are indented deeper than its "
        "key. A line that begins further left, be it of a heredoc, an empty comment or a pasted "
        "program, ends it. Indent all lines: YAML removes the indentation again, so that the "
        "shell finds the end of a heredoc at the beginning of a line.",
        wrong="""\
jobs:
  Train:
    resources:
      instance-type: P4000
    uses: script@v1
    with:
      image: python:3.12
      script: |-
        python - <<EOF
import torch
print(torch.cuda.is_available())
EOF
        echo done
""",
        right="""\
jobs:
  Train:
    resources:
      instance-type: P4000
    uses: script@v1
    with:
      image: python:3.12
      script: |-
        python - <<EOF
        import torch
        print(torch.cuda.is_available())
        EOF
        echo done
""",
    ),
    Rule(
        id="duplicate-key",
        severity="error",
        title="A key stands twice in one place",
        why="Readers of YAML disagree on which of the two counts, so neither does here. Remove "
        "one, or write both contents under one key.",
        wrong="""\
jobs:
  Train:
    resources: {instance-type: P4000}
    env: {EPOCHS: "10"}
    uses: script@v1
    env: {MODEL: large}
    with: {image: "python:3.12", script: python train.py}
""",
        right="""\
jobs:
  Train:
    resources: {instance-type: P4000}
    uses: script@v1
    env: {EPOCHS: "10", MODEL: large}
    with: {image: "python:3.12", script: python train.py}
""",
    ),
    Rule(
        id="two-workflows",
        severity="error",
        title="Two workflows stand in one file",
        why="A file holds one workflow: `on`, `defaults` and `jobs` once each. Put the second "
        "workflow into a file of its own beside the first; files in `.gradient/workflows` are "
        "independent of each other. Jobs that belong together go under one `jobs`.",
        wrong="""\
jobs:
  Train:
    resources: {instance-type: P4000}
    uses: script@v1
    with: {image: "python:3.12", script: python train.py}

jobs:
  Test:
    resources: {instance-type: C5}
    uses: script@v1
    with: {image: "python:3.12", script: python test.py}
""",
        right="""\
jobs:
  Train:
    resources: {instance-type: P4000}
    uses: script@v1
    with: {image: "python:3.12", script: python train.py}
  Test:
    needs: [Train]
    resources: {instance-type: C5}
    uses: script@v1
    with: {image: "python:3.12", script: python test.py}
""",
    ),
    Rule(
        id="several-documents",
        severity="error",
        title="A `---` begins a second document",
        why="A Gradient file is one YAML document. Remove the line, or make two files. Only a file "
        "of `GradientWorkflow` manifests may hold several.",
        wrong=f"{_RIGHT}---\n{_RIGHT}",
        right=f"---\n{_RIGHT}",
    ),
    Rule(
        id="not-a-workflow",
        severity="error",
        title="The file holds no workflow",
        why="It is empty, a list, a single text, or an object of another kind. A Gradient file "
        "holds keys and values, at least `jobs`; a manifest is a `GradientWorkflow` with a `spec`.",
        wrong="- python train.py\n- python test.py\n",
        right=_RIGHT,
    ),
    Rule(
        id="not-text",
        severity="error",
        title="The file holds something that is no text",
        why="Gradient files are UTF-8, with or without a byte order mark, with LF or CRLF. Save "
        "the file as UTF-8 and remove control characters; copies from a terminal often bring some.",
        wrong=_RIGHT.replace("done", "\x1b[32mdone"),
        right=_RIGHT,
    ),
    Rule(
        id="complex-key",
        severity="error",
        title="A key is no word",
        why="YAML takes an unquoted bracket for a list or a mapping: `{{ name }}` is no "
        "placeholder to it. Put the text into quotes.",
        wrong=_RIGHT.replace("P4000", "{{ machine }}"),
        right=_RIGHT,
    ),
    Rule(
        id="unknown-tag",
        severity="error",
        title="A value has a tag that is not known here",
        why="Words that begin with `!` tell YAML readers to make an object of the value. Only "
        "YAML's own (`!!str`, `!!int`, …) are known. Remove it, or put the text into quotes.",
        wrong=_RIGHT.replace("P4000", "!Ref P4000"),
        right=_RIGHT,
    ),
    Rule(
        id="bad-alias",
        severity="error",
        title="An alias repeats nothing, itself, or what cannot be merged",
        why="`*name` repeats what `&name` marks further up in the file; `<<: *name` takes over "
        "the keys of a mapping. A text that begins with `*` wants quotes.",
        wrong=_RIGHT.replace("P4000", "*machine"),
        right=_RIGHT.replace("P4000", "&machine P4000"),
    ),
    Rule(
        id="bad-number",
        severity="error",
        title="A number cannot be read, or is out of range",
        why="Integers have up to 64 bits, `.inf` and `.nan` are no values. Quotes make it a "
        "string, which is what nearly every field of the format wants.",
        wrong=_RIGHT.replace("P4000", "99999999999999999999"),
        right=_RIGHT,
    ),
    Rule(
        id="too-large",
        severity="error",
        title="The file exceeds a bound",
        why="A file has at most 1 MiB, 64 levels and 262,144 keys and values, with its aliases "
        "written out. What the cluster stores of it (the definition as JSON) has at most 512 KiB. "
        "Put long scripts into the repository or the image, and split large workflows.",
        wrong=_RIGHT.replace("echo done", "echo …"),
        right=_RIGHT,
        ellipsis=1_100_000,
    ),
)
