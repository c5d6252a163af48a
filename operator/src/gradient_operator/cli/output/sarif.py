"""Findings as a SARIF 2.1.0 log, which code review tools read, with the catalogue as metadata.

The help of a rule is the text of its page: whoever reads the log needs no address for it.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import os
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import quote

from gradient_operator.workflow.lint import Finding
from gradient_operator.workflow.rules.catalogue import CATALOGUE
from gradient_operator.workflow.rules.model import Rule

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_PLACES: Final = {rule: place for place, rule in enumerate(CATALOGUE)}


def log(findings: Sequence[Finding]) -> dict[str, Any]:
    """The log of one run of `gradient lint`."""
    driver = {
        "name": "gradient lint",
        "version": version("gradient-operator"),
        "rules": [_rule(rule) for rule in CATALOGUE.values()],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding) for finding in findings],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(part.title() for part in rule.id.split("-")),
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": rule.why},
        "help": {"text": _help(rule), "markdown": _help(rule)},
        "defaultConfiguration": {"level": rule.severity},
    }


def _help(rule: Rule) -> str:
    examples = f"\n\nRight:\n\n```yaml\n{rule.right}```\n" if rule.right else ""
    return f"{rule.why}{examples}"


def _result(finding: Finding) -> dict[str, Any]:
    location = {
        "artifactLocation": {"uri": quote(os.fsencode(finding.source))},
        "region": _region(finding),
    }
    return {
        "ruleId": finding.rule,
        "ruleIndex": _PLACES[finding.rule],
        "level": finding.severity,
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": location}],
    }


def _region(finding: Finding) -> dict[str, int]:
    span = finding.span
    region = {"startLine": span.line, "startColumn": span.column}
    if span.end_column > span.column:
        region |= {"endLine": span.end_line, "endColumn": span.end_column}
    return region
