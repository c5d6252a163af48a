"""What `gradient lint` prints: for people, for programs, for code review, for GitHub."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from gradient_operator.workflow.lint import Finding, Report


def render(form: str, reports: Sequence[Report]) -> str:
    """The findings in the form that was asked for; empty when there is nothing to print."""
    return _FORMS[form](reports)


def summary(reports: Sequence[Report]) -> str:
    """One line: how many files, errors and warnings."""
    errors, warnings = _count(reports)
    hidden = sum(report.hidden for report in reports)
    more = f", and {hidden} more not shown" if hidden else ""
    files = _plural(len(reports), "file")
    if not errors and not warnings:
        return f"{files}: no problem found."
    return f"{files}: {_plural(errors, 'error')}, {_plural(warnings, 'warning')}{more}."


def _count(reports: Iterable[Report]) -> tuple[int, int]:
    found = [finding.severity for report in reports for finding in report.findings]
    return found.count("error"), found.count("warning")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _all(reports: Iterable[Report]) -> list[Finding]:
    return [finding for report in reports for finding in report.findings]


def _text(reports: Sequence[Report]) -> str:
    return "\n".join(
        f"{each.source}:{each.span.line}:{each.span.column}: {each.severity}: {each.message} "
        f"({each.rule})"
        for each in _all(reports)
    )


def _json(reports: Sequence[Report]) -> str:
    errors, warnings = _count(reports)
    problems = [
        {
            "file": each.source,
            "line": each.span.line,
            "column": each.span.column,
            "endLine": each.span.end_line,
            "endColumn": each.span.end_column,
            "severity": each.severity,
            "message": each.message,
            "rule": each.rule,
        }
        for each in _all(reports)
    ]
    content: dict[str, Any] = {
        "files": len(reports),
        "errors": errors,
        "warnings": warnings,
        "hidden": sum(report.hidden for report in reports),
        "problems": problems,
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _github(reports: Sequence[Report]) -> str:
    """Workflow commands of GitHub Actions, which shows them beside the lines."""
    return "\n".join(_command(each) for each in _all(reports))


def _command(finding: Finding) -> str:
    span = finding.span
    properties: dict[str, object] = {
        "file": finding.source,
        "line": span.line,
        "col": span.column,
        "title": finding.rule,
    }
    if span.end_column > span.column:
        properties |= {"endLine": span.end_line, "endColumn": span.end_column}
    fields = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::{finding.severity} {fields}::{_data(finding.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _sarif(reports: Sequence[Report]) -> str:
    from gradient_operator.cli.output import sarif

    return json.dumps(sarif.log(_all(reports)), indent=2, ensure_ascii=False)


_FORMS: Final[dict[str, Callable[[Sequence[Report]], str]]] = {
    "text": _text,
    "json": _json,
    "sarif": _sarif,
    "github": _github,
}
