"""What is wrong with the bytes of a file, rule by rule, with places in its text.

A file is a Gradient file, or a manifest: one or several documents of which at least one is a
`GradientWorkflow`. Pure: bytes come in, findings go out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from gradient_operator.api.names import GROUP
from gradient_operator.workflow.check import check
from gradient_operator.workflow.loader import (
    FileProblem,
    LoadedFile,
    decode,
    load_all,
    second_document,
)
from gradient_operator.workflow.machines import unknown_machines
from gradient_operator.workflow.model import Problem, Refused
from gradient_operator.workflow.positions import Path, Positions, Span

MAX_FINDINGS: Final = 100
"""Of one file; who has more has one mistake that is made everywhere."""
_OF_KEYS: Final = ("-key", "-trigger", "-name")
"""Endings of rules about a key itself, not about the value that it has."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule."""

    source: str
    span: Span
    severity: Literal["error", "warning"]
    message: str
    rule: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in one file, by place; `hidden` counts what is not listed."""

    findings: tuple[Finding, ...]
    hidden: int = 0

    @property
    def valid(self) -> bool:
        """Whether the file can run."""
        return not any(finding.severity == "error" for finding in self.findings)


def lint(raw: bytes, *, source: str) -> Report:
    """Check the content of a file; `source` is its name."""
    found: list[Finding] = []
    hidden = 0
    try:
        text = decode(raw, source=source)
        lines = text.removeprefix("\ufeff").split("\n")
        for document, root in _definitions(load_all(text, source=source)):
            problems, more = _problems(document, root)
            hidden += more
            found += (_finding(document, root, problem, lines) for problem in problems)
    except FileProblem as problem:
        # What comes before is most likely wrong for the same reason.
        return Report((_of_text(problem),))
    found.sort(key=lambda finding: (finding.severity, finding.span))
    shown = sorted(found[:MAX_FINDINGS], key=lambda finding: finding.span)
    return Report(tuple(shown), hidden + len(found) - len(shown))


def _definitions(documents: Iterator[LoadedFile]) -> Iterator[tuple[LoadedFile, Path]]:
    """The documents that define a workflow, each with the path of the definition in it.

    Raises:
        FileProblem: there is none, or a plain file holds a second document.
    """
    others: list[LoadedFile] = []
    count = 0
    for document in documents:
        if count and not others:
            raise second_document(document)
        if not _is_manifest(document):
            if others:
                raise second_document(document)
            yield document, ()
        else:
            others.append(document)
            if document.data["kind"] != "GradientWorkflow":
                continue
            yield document, ("spec",)
        count += 1
    if not count:
        raise _no_workflow(others)


def _is_manifest(document: LoadedFile) -> bool:
    return "apiVersion" in document.data and "kind" in document.data


def _no_workflow(documents: Sequence[LoadedFile]) -> FileProblem:
    document = documents[0]
    line, column = document.positions.at(("kind",))
    kind = str(document.data["kind"])[:63]
    message = f"is a {kind}: give a plain Gradient file, or a GradientWorkflow of {GROUP}"
    source = document.source
    return FileProblem(message, source=source, line=line, column=column, rule="not-a-workflow")


def _problems(document: LoadedFile, root: Path) -> tuple[Sequence[Problem], int]:
    data: Any = document.data.get("spec") if root else document.data
    if not isinstance(data, dict):
        return (
            Problem((), "must hold the workflow: jobs and what belongs to them", "not-a-workflow"),
        ), 0
    try:
        checked = check(data)
        return (*checked.warnings, *unknown_machines(checked.spec)), 0
    except Refused as refused:
        return refused.problems, refused.hidden


def _finding(document: LoadedFile, root: Path, problem: Problem, lines: Sequence[str]) -> Finding:
    path = (*root, *problem.path)
    span = _line_of_text(document.positions.span_at(path), problem, lines)
    span = span or place(document.positions, path, problem.rule)
    return Finding(document.source, span, problem.severity, str(problem), problem.rule)


def _line_of_text(span: Span, problem: Problem, lines: Sequence[str]) -> Span | None:
    """The line that a problem is about within a text that begins with `|`."""
    # YAML ends a line at a few more characters than others do.
    if problem.line is None or span.line > len(lines):
        return None
    if lines[span.line - 1][span.column - 1 : span.column] != "|":
        return None
    number = span.line + 1 + problem.line
    line = lines[number - 1].rstrip() if number <= len(lines) else ""
    indentation = len(line) - len(line.lstrip())
    return Span(number, indentation + 1, number, len(line) + 1) if line else None


def place(positions: Positions, path: Path, rule: str) -> Span:
    """The part of the text that a problem is about: a key that is too much, else the value.

    Where the value goes over several lines it is the key in front of it.
    """
    if rule.endswith(_OF_KEYS):
        return positions.key_span_at(path)
    span = positions.span_at(path)
    return span if span.end_column > span.column else positions.key_span_at(path)


def _of_text(problem: FileProblem) -> Finding:
    span = Span(problem.line, problem.column, problem.line, problem.column)
    return Finding(problem.source, span, "error", problem.message, problem.rule)
