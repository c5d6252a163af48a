"""Checks a definition as the operator will, before anything is sent, with places in the file."""

from collections.abc import Iterable, Mapping
from typing import Any

from gradient_operator.api.run import RunInput
from gradient_operator.cli.definition import Definition
from gradient_operator.cli.errors import CommandError
from gradient_operator.workflow.check import check
from gradient_operator.workflow.compile import compile_file
from gradient_operator.workflow.lint import place
from gradient_operator.workflow.model import Problem, Refused
from gradient_operator.workflow.validate import parse_file, parse_spec


def check_file(definition: Definition) -> list[str]:
    """The warnings about a file, as lines with their places.

    Raises:
        CommandError: the file is not valid; with a line for every problem.
    """
    policy = {} if definition.policy is None else {"policy": definition.policy}
    try:
        return _placed(check({**definition.spec, **policy}).warnings, definition)
    except Refused as refused:
        lines = "\n".join(_placed(refused.problems, definition))
        raise CommandError(f"the file is not valid.\n{lines}") from None


def check_run(
    spec: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, str]],
    *,
    definition: Definition | None = None,
) -> None:
    """Check that a run of this spec can start with these inputs; `definition` gives the places.

    Raises:
        CommandError: it cannot; with a line for every reason.
    """
    try:
        compile_file(
            parse_file(spec), given={name: RunInput(**given) for name, given in inputs.items()}
        )
    except Refused as refused:
        problems = refused.problems
        lines = _placed(problems, definition) if definition else [str(item) for item in problems]
        raise CommandError("\n".join(["the run cannot start.", *lines])) from None


def check_policy(policy: Mapping[str, Any]) -> None:
    """Check a policy that was put together from options.

    Raises:
        CommandError: it has an unknown key, or a value that is out of bounds.
    """
    try:
        parse_spec({"jobs": {}, "policy": policy})
    except Refused as refused:
        lines = "\n".join(str(problem) for problem in refused.problems)
        raise CommandError(f"--policy is not valid.\n{lines}") from None


def _placed(problems: Iterable[Problem], definition: Definition) -> list[str]:
    """`file:line:column: error|warning: sentence (rule)`, as compilers write it."""
    lines = []
    for problem in problems:
        where = place(definition.positions, (*definition.root, *problem.path), problem.rule)
        lines.append(
            f"{definition.source}:{where.line}:{where.column}: {problem.severity}: {problem} "
            f"({problem.rule})"
        )
    return lines
