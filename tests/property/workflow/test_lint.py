"""Whatever bytes a file holds, it gets a verdict: with places in the text, in short sentences."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient_operator.workflow.lint import MAX_FINDINGS, lint
from gradient_operator.workflow.loader import MAX_BYTES
from gradient_operator.workflow.rules.catalogue import CATALOGUE

FILES = [rule.wrong for rule in CATALOGUE.values() if rule.wrong and not rule.ellipsis]
PIECES = st.sampled_from(
    [
        *(
            "jobs:\n",
            "on:\n",
            "  a:\n",
            "    uses: script@v1\n",
            "    with:\n",
            "      script: |\n",
        ),
        *("        cat <<EOF\n", "EOF\n", "        EOF\n", "        cd /inputs/x > /outputs/y\n"),
        *("    needs: [a]\n", "    inputs: {x: a.outputs.y}\n", "    env: {A_KEY: secret:B}\n"),
        *("---\n", "apiVersion: v1\nkind: GradientWorkflow\nspec:\n", "- ", ": ", "\t", "\r\n"),
        *("'", '"', "{", "}", "[", "]", "&a ", "*a", "<<: *a\n", "!!int ", "#", "|", ">-\n", "é🚀"),
        *("${{ github.ref }}", "\x00", "\ufeff", "\u2028", "\xa0", "  ", "\n"),
    ]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join).map(str.encode)


@st.composite
def changed_files(draw):
    """A small valid or nearly valid file with some bytes taken out, put in or repeated."""
    raw = bytearray(draw(st.sampled_from(FILES)).encode())
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(raw)))
        end = draw(st.integers(at, min(len(raw), at + 40)))
        raw[at:end] = draw(
            st.one_of(st.binary(max_size=4), TEXTS.filter(lambda text: len(text) < 80))
        )
    return bytes(raw)


def check(raw):
    report = lint(raw, source="f.yaml")
    text = raw.decode("utf-8", "replace")
    lines = sum(text.count(end) for end in "\n\r\x85\u2028\u2029") + 2
    assert len(report.findings) <= MAX_FINDINGS
    for finding in report.findings:
        span = finding.span
        assert finding.rule in CATALOGUE
        assert finding.severity == CATALOGUE[finding.rule].severity
        assert 0 < len(finding.message) < 2_000
        assert 1 <= span.line <= span.end_line <= lines
        assert span.column >= 1
        assert (span.end_line, span.end_column) >= (span.line, span.column)
    return report


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_bytes_get_a_verdict(raw):
    check(raw)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_text_shaped_like_a_file_gets_a_verdict(raw):
    check(raw)


@settings(max_examples=400, deadline=None)
@given(changed_files())
def test_changed_files_get_a_verdict(raw):
    check(raw)


def job(**fields):
    lines = "".join(f"    {key}: {value}\n" for key, value in fields.items())
    return f"jobs:\n  a:\n    resources: {{instance-type: C4}}\n    uses: script@v1\n{lines}"


def script(text):
    return job(**{"with": f'{{image: x, script: "{text}"}}'}).encode()


def many_jobs(field):
    """As many as a file may have, each with this field."""
    return ("jobs:\n" + "".join(f"  j{at}: {{{field}}}\n" for at in range(1_000))).encode()


HOSTILE = {
    "unknown keys": b"".join(b"k%d: 1\n" % number for number in range(90_000)),
    "unknown needs": job(needs=f"[{', '.join(f'n{i}' for i in range(900))}]").encode(),
    "needs of many jobs": many_jobs("needs: [x1, x2" + ", y" * 150 + "]"),
    "sources of many jobs": many_jobs(
        f"inputs: {{{', '.join(f'i{at}: x{at}.outputs.y' for at in range(20))}}}"
    ),
    "all need all": many_jobs(f"needs: [{', '.join(f'j{at}' for at in range(100))}]"),
    "a chain": b"jobs:\n"
    + b"".join(b"  j%d: {needs: [j%d]}\n" % (at, at + 1) for at in range(1_400)),
    "wrong values": b"jobs:\n  a:\n    env:\n"
    + b"".join(b"      k%d: 1\n" % number for number in range(60_000)),
    "many jobs": b"jobs:\n" + b"".join(b"  j%d:\n" % number for number in range(80_000)),
    "one long key": b"k" * 1_000_000 + b": 1\n",
    "one long line": b"a" * 1_000_000,
    "random text": base64.b64encode(bytes(range(256)) * 3_000),
    "open brackets": b"[" * 1_000_000,
    "open braces": b"{a: " * 250_000,
    "dashes": b"- " * 500_000,
    "quotes": b"a: '" + b"''" * 500_000,
    "anchors": b"a: &a b\n" + b"".join(b"k%d: *a\n" % number for number in range(90_000)),
    "blocks": b"a: |\n" * 200_000,
    "headers": b"a: | # " + b"|" * 1_000_000,
    "dashed headers": b"- " * 300_000 + b"|\n",
    "a heredoc for each line": script("cat <<A\\n" * 100_000),
    "paths": script("/outputs/a " * 90_000),
    "reads": script("cat /inputs/a\\n" * 60_000),
    "half tokens": script("sk-" + "a" * 200_000),
    "half addresses": script("://a" * 200_000),
    "half assignments": script("A_" * 400_000),
    "half placeholders": script("${{" + " " * 900_000),
    "a file of zeros": b"\x00" * MAX_BYTES,
    "too much": b"a" * (MAX_BYTES + 1),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_large_and_hostile_files_get_a_verdict(raw):
    report = check(raw)
    assert report.findings
