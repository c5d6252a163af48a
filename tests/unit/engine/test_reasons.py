"""Every reason that the engine names has its entry: what it means, and what to do."""

import ast
import re
from pathlib import Path

import pytest

import gradient_operator
from gradient_operator.engine import reason_pages
from gradient_operator.engine.reasons import REASONS, reason_of

PACKAGE = Path(gradient_operator.__path__[0])
PAGE = Path(__file__).parents[3] / "docs" / "why.md"
SOURCES = [
    *sorted((PACKAGE / "engine").glob("*.py")),
    *(PACKAGE / "controllers" / name for name in ("pinning.py", "reruns.py", "run_outputs.py")),
]
CALLS = {"Waiting": 0, "Failure": 1, "StartRefused": 0, "Stop": 0, "_limit": 0}
"""What takes a reason, and at which place."""
CAMEL_CASE = re.compile(r"[A-Z][A-Za-z]*[a-z][A-Za-z]*")


def text_of(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp | ast.BoolOp):
        parts = node.values if isinstance(node, ast.BoolOp) else [node.body, node.orelse]
        return [text for part in parts for text in text_of(part)]
    return []


def named():
    """Every reason that stands in a call, under the keyword or key `reason`."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            found = []
            if isinstance(node, ast.Call):
                place = CALLS.get(getattr(node.func, "id", ""))
                if place is not None and len(node.args) > place:
                    found.append(node.args[place])
                found += [item.value for item in node.keywords if item.arg == "reason"]
            elif isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                found += [value for key, value in pairs if text_of(key) == ["reason"]]
            for text in (text for each in found for text in text_of(each)):
                if CAMEL_CASE.fullmatch(text):
                    yield pytest.param(text, id=f"{source.name}: {text}")


@pytest.mark.parametrize("reason", list(named()))
def test_a_reason_that_the_code_names_is_in_the_catalogue(reason):
    assert reason in REASONS, f"add {reason} to engine/reasons_of_*.py and run make docs"


def test_the_scan_finds_reasons():
    assert {"GPUBusy", "ExitCode", "DatasetNotFound", "MaxParallel"} <= {
        each.values[0] for each in named()
    }


def test_every_entry_says_what_it_means_and_what_to_do():
    for name, reason in REASONS.items():
        assert CAMEL_CASE.fullmatch(name)
        assert reason.title
        assert reason.means
        assert reason.remedy


def test_the_page_has_a_row_for_every_reason():
    text = PAGE.read_text(encoding="utf-8")
    for reason in REASONS.values():
        assert f"| `{reason.id}` | {reason.means} | {reason.remedy} |\n" in text


def test_a_reason_of_a_newer_operator_is_shown_as_it_is():
    assert reason_of("NewThing").id == "NewThing"


def test_the_page_is_written_and_compared(tmp_path, capsys):
    page = tmp_path / "why.md"
    assert reason_pages.main(["--check", str(page)]) == 1
    assert "run `python -m" in capsys.readouterr().err
    assert reason_pages.main([str(page)]) == 0
    assert reason_pages.main(["--check", str(page)]) == 0
    assert page.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")
