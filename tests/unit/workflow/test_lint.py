"""Files come in as bytes; what is wrong with them goes out with places."""

import pytest

from gradient_operator.workflow.lint import MAX_FINDINGS, lint

JOB = """\
jobs:
  Train:
    resources: {instance-type: C4}
    uses: script@v1
    with: {image: "bash:5", script: date}
"""


def found(text):
    """Where which rule was broken, as `line:column-end rule`."""
    raw = text if isinstance(text, bytes) else text.encode()
    return [
        f"{each.span.line}:{each.span.column}-{each.span.end_column} {each.rule}"
        for each in lint(raw, source="f.yaml").findings
    ]


def manifest(jobs, kind="GradientWorkflow"):
    indented = "".join(f"  {line}\n" for line in jobs.splitlines())
    return (
        f"apiVersion: gradient.run/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n{indented}"
    )


PLACES = {
    "an unknown key: the key": (JOB.replace("uses:", "use:"), "4:5-8 unknown-key"),
    "a wrong value: the value": (JOB.replace("date", "12"), "5:37-39 wrong-value"),
    "a wrong block: the key in front": (
        JOB.replace("{image", "[{image").replace("date}", "date}]"),
        "5:5-9 wrong-value",
    ),
    "a need: the item": (
        JOB.replace("    uses", "    needs: [Trian]\n    uses"),
        "4:13-18 unknown-need",
    ),
    "what is missing: the key of the block": (
        JOB.replace(", script: date", ""),
        "5:5-9 missing-parameter",
    ),
    "a text that is no YAML: where it ends": (JOB + "\tx: 1\n", "6:1-1 yaml-tab"),
}


@pytest.mark.parametrize(("text", "expected"), PLACES.values(), ids=PLACES)
def test_a_finding_has_the_place_that_is_to_be_changed(text, expected):
    assert found(text) == [expected]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: f"\ufeff{text}",
        lambda text: f"---\n{text}...\n",
        lambda text: f"# übung 🚀\n\n{text}---\n",
        lambda text: text.replace("date", "echo äöü 日本 🚀"),
    ],
)
def test_texts_that_people_write_are_fine(change):
    assert found(change(JOB)) == []


def test_the_spec_of_a_manifest_is_checked_in_its_place():
    assert found(manifest(JOB)) == []
    assert found(manifest(JOB.replace("uses:", "use:"))) == ["8:7-10 unknown-key"]


def test_every_workflow_of_a_file_of_manifests_is_checked_and_other_kinds_are_passed_over():
    bad = manifest(JOB.replace("uses:", "use:"))
    other = manifest("data: 1\n", kind="GradientDataset")
    assert found(f"{other}---\n{bad}---\n{bad}") == ["14:7-10 unknown-key", "24:7-10 unknown-key"]


def test_a_manifest_of_another_kind_alone_is_no_workflow():
    assert found("apiVersion: v1\nkind: Pod\n") == ["2:7-7 not-a-workflow"]


def test_a_manifest_without_spec_is_no_workflow():
    text = "apiVersion: gradient.run/v1alpha1\nkind: GradientWorkflow\n"
    assert found(text) == ["1:1-1 not-a-workflow"]


@pytest.mark.parametrize("text", [f"{JOB}---\n{JOB}", f"{JOB}---\n{manifest(JOB)}"])
def test_a_plain_file_holds_one_document(text):
    assert found(text) == ["6:1-1 several-documents"]


def test_no_more_findings_are_listed_than_anybody_reads_errors_first():
    needs = ", ".join(f"j{number}" for number in range(500))
    job = JOB.replace("    uses", f"    timeout: 1\n    needs: [{needs}]\n    uses")
    report = lint(job.encode(), source="f.yaml")
    assert len(report.findings) == MAX_FINDINGS
    assert report.hidden == 401
    assert {each.severity for each in report.findings} == {"error"}


def test_a_sentence_is_short_whatever_the_file_holds():
    report = lint(f"{'k' * 100_000}: 1\n".encode(), source="f.yaml")
    assert all(len(each.message) < 2_000 for each in report.findings)


def test_a_sentence_is_one_line_without_what_a_terminal_acts_upon():
    report = lint(b'"a\\nb\\e[31m": 1\njobs: {}\n', source="f.yaml")
    assert all(each.message.isprintable() for each in report.findings)
