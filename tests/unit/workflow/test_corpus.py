"""Real workflow files: what the hosted service ran is accepted, what it refused is refused.

GRADIENT_CORPUS names a folder of such files. Its INDEX.tsv says of each `file` the `status` and
what is unusual; without one the files only have to get a verdict.
"""

import csv
import os
import re
from pathlib import Path

import pytest

from gradient_operator.workflow.lint import lint
from gradient_operator.workflow.loader import FileProblem, decode, load

FOLDER = os.environ.get("GRADIENT_CORPUS")
CANNOT_RUN = re.compile(r"\bno image\b|outside with|elisions")
"""Of files that are neither documented nor invalid: what a note says of those that do not run."""
OURS = {
    (): {"concurrency"},
    ("on",): {"schedule", "manual"},
    ("jobs", "*"): {"if", "strategy", "timeout-minutes", "continue-on-error", "retries"},
}
"""Keys that the hosted service did not have, by their places: a file with one may be accepted."""


def entries():
    folder = Path(FOLDER)
    index = folder / "INDEX.tsv"
    if index.is_file():
        with index.open(encoding="utf-8", newline="") as table:
            rows = [list(row.values())[:3] for row in csv.DictReader(table, delimiter="\t")]
        return [(folder / name, status, note) for name, status, note in rows]
    files = sorted(each for each in folder.rglob("*.y*ml") if each.is_file())
    return [(file, "", "") for file in files]


def uses_a_key_of_ours(raw):
    try:
        data = load(decode(raw, source="f"), source="f").data
    except FileProblem:
        return False
    jobs = data.get("jobs")
    blocks = {(): [data], ("on",): [data.get("on")]}
    blocks["jobs", "*"] = list(jobs.values()) if isinstance(jobs, dict) else []
    return any(
        isinstance(block, dict) and not keys.isdisjoint(block)
        for place, keys in OURS.items()
        for block in blocks[place]
    )


@pytest.mark.skipif(FOLDER is None, reason="set GRADIENT_CORPUS to a folder of workflow files")
def test_every_file_of_the_corpus_gets_the_verdict_it_deserves():
    wrong = []
    for file, status, note in entries():
        raw = file.read_bytes()
        report = lint(raw, source=file.name)
        errors = [each.message for each in report.findings if each.severity == "error"]
        if status in {"ok", "legacy"} and errors:
            wrong.append(f"{file.name} is {status} and yet refused: {errors}")
        if status == "undocumented" and errors and not CANNOT_RUN.search(note):
            wrong.append(f"{file.name} is refused: {errors}")
        if status == "invalid" and not errors and not uses_a_key_of_ours(raw):
            wrong.append(f"{file.name} is invalid and yet accepted: {note}")
    assert wrong == []
