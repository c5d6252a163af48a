"""Warns of what a job's program will not find, or lose: paths, heredocs, placeholders.

A script is text, no format of ours: what is said here must be certain from a few words of it.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from gradient_operator.api.workflow import GradientFile, Job
from gradient_operator.workflow.heredocs import unclosed
from gradient_operator.workflow.model import Problem
from gradient_operator.workflow.nearest import nearest_key
from gradient_operator.workflow.texts import TextAt, programs_of_job, texts_of_file, texts_of_job

_OUTPUT: Final = re.compile(r"(?<![\w./}$-])/outputs/([A-Za-z0-9][\w.-]{0,62})")
_INPUT: Final = re.compile(
    r"(?:^|[;&|(]|&&)[ \t]*(?:cd|ls|cat|python3?|bash|sh|source|pip3? install -r)"
    r"(?:[ \t]+-\w+)*[ \t]+/inputs/([A-Za-z0-9][\w.-]{0,62})",
    re.MULTILINE,
)
"""Words that only read: whoever writes under `/inputs` may make what the job does not declare."""
_GOES_INTO: Final = re.compile(r"\bcd[ \t]+/?inputs/?[ \t]*(?:$|[;&|])", re.MULTILINE)
"""From here on a relative path may make what is then read."""
_EXPRESSION: Final = re.compile(
    r"\$\{\{\s{0,8}(?!matrix\b)[a-z]"
    r"|\$\{(?:inputs|outputs|workflow|context|secrets|jobs)\."
)
_SECRET: Final = re.compile(r"(?<![\w/:.@-])secret:[A-Za-z_][\w-]*")
_MOST: Final = 200
"""Paths of one text that are looked at; a text with more has been warned."""


def script_advice(file: GradientFile) -> Iterator[Problem]:
    """Warnings about the texts of a file, in the order of the file."""
    for found in texts_of_file(file):
        yield from _placeholders(found)
    for name, job in file.jobs.items():
        yield from _lost_outputs(name, job)
        yield from _missing_inputs(name, job)
        for program in programs_of_job(name, job):
            yield from _open_heredoc(program)


def _placeholders(found: TextAt) -> Iterator[Problem]:
    if match := _EXPRESSION.search(found.text):
        text = (
            "is taken as it stands: nothing fills in ${…} of this kind. Take the value as a "
            "variable (`env`) or an input, and read it in the program"
        )
        yield _at(found, match.start(), text, "literal-placeholder")
    match = _SECRET.search(found.text)
    if match and not (found.variable and match[0] == found.text):
        text = (
            "is taken as it stands: `secret:NAME` is filled in where it is the whole value of a "
            "variable. Give it to one under `env`, and write $NAME here"
        )
        yield _at(found, match.start(), text, "literal-placeholder")


def _at(found: TextAt, index: int, message: str, rule: str) -> Problem:
    line = found.text.count("\n", 0, index)
    return Problem(found.path, message, rule, "warning", line)


def _lost_outputs(name: str, job: Job) -> Iterator[Problem]:
    declared = job.outputs or {}
    said: set[str] = set()
    for found in texts_of_job(name, job):
        for match in islice(_OUTPUT.finditer(found.text), _MOST):
            output = match[1].rstrip(".")
            if output in declared or output in said or _is_comment(found.text, match.start()):
                continue
            said.add(output)
            near = nearest_key(output, declared)
            hint = f"did you mean {near!r}?" if near else "declare it under `outputs`"
            text = f"names /outputs/{output}, which is no output of the job and is lost: {hint}"
            yield _at(found, match.start(), text, "undeclared-output")


def _missing_inputs(name: str, job: Job) -> Iterator[Problem]:
    """An input that a program reads before anything else could have made it."""
    declared = job.inputs or {}
    for found in programs_of_job(name, job):
        for match in islice(_INPUT.finditer(found.text), _MOST):
            wanted, start = match[1].rstrip("."), match.start(1)
            first = found.text.find(f"/inputs/{wanted}") == start - len("/inputs/")
            if wanted in declared or not first or _is_comment(found.text, start):
                continue
            if _GOES_INTO.search(found.text, 0, match.start()):
                continue
            near = nearest_key(wanted, declared)
            hint = f"did you mean {near!r}?" if near else "declare it under `inputs`"
            text = f"reads /inputs/{wanted}, which is no input of the job: {hint}"
            yield _at(found, start, text, "undeclared-input")


def _is_comment(text: str, index: int) -> bool:
    start = text.rfind("\n", 0, index) + 1
    return text[start:index].lstrip().startswith("#")


def _open_heredoc(found: TextAt) -> Iterator[Problem]:
    heredoc = unclosed(found.text)
    if heredoc is None:
        return
    text = f"has a heredoc <<{heredoc.word} that no line ends: {heredoc.word} must stand alone "
    text += "at the beginning of a line, and as deep as the first line of the script in this file"
    yield Problem(found.path, text, "open-heredoc", "warning", heredoc.line)
