"""Where a script ended, when a file is no YAML: the line to change, and the heredoc it cut."""

import pytest

from gradient_operator.workflow.lint import lint

HEAD = "jobs:\n  A:\n    with:\n      script: |-\n"
TAIL = "      image: x\n    uses: script@v1\n"
BROKEN = {
    "a heredoc's end at the margin": (
        "        cat <<EOF\n        a\nEOF\n",
        (7, 1),
        "<<EOF of line 5",
    ),
    "a heredoc's text at the margin": (
        "        python - <<'PY'\nimport x\nprint(x)\nPY\n        b\n",
        (6, 1),
        "<<PY of line 5",
    ),
    "a heredoc whose text looks like keys": (
        "        cat >x <<EOF\nname: a\nvalue: b\nEOF\n",
        (6, 1),
        "<<EOF of line 5",
    ),
    "a manifest in a heredoc": (
        "        kubectl apply -f - <<EOF\n---\nkind: Pod\nEOF\n        a\n",
        (6, 1),
        "<<EOF",
    ),
    "the second of two heredocs": (
        "        cat <<A\n        A\n        cat <<B\nB\n",
        (8, 1),
        "<<B of line 7",
    ),
    "a program in quotes": ('        python -c "\nimport x"\n        b\n', (6, 1), "line 4"),
    "a line too far left": ("        a\n      b c\n        d\n", (6, 7), "by 8 spaces"),
    "a comment at the margin": ("        a\n# why\n        b\n", (6, 1), "a comment"),
}


@pytest.mark.parametrize(("script", "place", "says"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_line_that_ended_the_script_is_named(script, place, says, newline):
    text = f"{HEAD}{script}{TAIL}".replace("\n", newline)
    finding = lint(text.encode(), source="f").findings[0]
    assert finding.rule == "script-indent"
    assert (finding.span.line, finding.span.column) == place
    assert says in finding.message


@pytest.mark.parametrize("header", ["|", "|-", ">", ">-", "|+", "|2-", "| # comment"])
def test_every_kind_of_text_is_known(header):
    text = f"jobs:\n  A:\n    with:\n      args:\n        - {header}\n          a\nb\n{TAIL}"
    finding = lint(text.encode(), source="f").findings[0]
    assert (finding.rule, finding.span.line) == ("script-indent", 7)


def test_a_mistake_below_a_whole_script_is_not_blamed_on_it():
    text = f"{HEAD}        cat <<EOF\n        a\n        EOF\n      image: a: b\n"
    finding = lint(text.encode(), source="f").findings[0]
    assert (finding.rule, finding.span.line) == ("yaml-syntax", 8)


def test_a_space_that_is_none_is_named():
    text = "jobs:\n  A:\n \xa0  uses: x\n"
    finding = lint(text.encode(), source="f").findings[0]
    assert (finding.rule, finding.span.line, finding.span.column) == ("yaml-tab", 3, 2)
