"""The `if` of a job: read once when the workflow is compiled, so that every name in it is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gradient_operator.workflow import cel, slots
from gradient_operator.workflow.expression import ExpressionProblem, quoted, read, unwrap
from gradient_operator.workflow.model import Condition
from gradient_operator.workflow.nearest import nearest
from gradient_operator.workflow.state import Combination, Compilation

MAX_VALUE: Final = 4_096
"""Characters of an input that a condition may look at."""
_OF_NEED: Final = "result and outputs.NAME"


def condition(state: Compilation, made: Combination, needs: tuple[str, ...]) -> Condition | None:
    """The condition of a job, or None if it has none or a wrong one; `needs` are as in the file."""
    written = made.job.if_
    if written is None:
        return None
    text = written if isinstance(written, str) else ("true" if written else "false")
    names = _Names(state, made, needs)
    try:
        expression = read(unwrap(text), names.resolve)
        cel.check(expression.program)
    except ExpressionProblem as problem:
        state.error(("jobs", made.base, "if"), str(problem), "bad-condition")
        return None
    return Condition(
        text=text,
        program=expression.program,
        asks=expression.asks,
        needs={need: tuple(each.name for each in state.combinations[need]) for need in names.needs},
        outputs=tuple(names.outputs),
        inputs=names.inputs,
        matrix=names.matrix,
    )


@dataclass(slots=True)
class _Names:
    """Resolves the names in a condition, and notes which there are."""

    state: Compilation
    made: Combination
    known: tuple[str, ...]
    needs: dict[str, None] = field(default_factory=dict)
    outputs: dict[tuple[str, str], None] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    matrix: dict[str, str] = field(default_factory=dict)

    def resolve(self, root: str, names: tuple[str, ...]) -> str:
        if root == "inputs":
            return self._input(names)
        if root == "matrix":
            return self._matrix(names)
        return self._need(names)

    def _input(self, names: tuple[str, ...]) -> str:
        name = _only("inputs", names)
        declared = self.state.file.inputs or {}
        if name not in declared:
            hint = nearest(name, declared, "the workflow has none")
            raise ExpressionProblem(f"{name!r} is not an input of the workflow; {hint}")
        if declared[name].type != "string":
            kind = declared[name].type
            raise ExpressionProblem(f"inputs.{name} is of type {kind}: only strings have a value")
        value = slots.text_of_input(self.state, name) or ""
        if len(value) > MAX_VALUE:
            raise ExpressionProblem(f"inputs.{name} is too long for a condition ({len(value)})")
        self.inputs[name] = value.rstrip("\r\n")
        return f"inputs[{quoted(name)}]"

    def _matrix(self, names: tuple[str, ...]) -> str:
        name = _only("matrix", names)
        values = self._values()
        if name not in values:
            none = "the job has no strategy.matrix"
            raise ExpressionProblem(
                f"{name!r} is no key of the matrix; {nearest(name, values, none)}"
            )
        self.matrix[name] = values[name]
        return f"matrix[{quoted(name)}]"

    def _values(self) -> Mapping[str, str]:
        of_all = [each.values for each in self.state.combinations[self.made.base]]
        return {
            **dict.fromkeys((key for values in of_all for key in values), ""),
            **self.made.values,
        }

    def _need(self, names: tuple[str, ...]) -> str:
        if not names:
            raise ExpressionProblem("needs is followed by a job: needs.JOB.result")
        job, *rest = names
        if job not in self.known:
            raise ExpressionProblem(self._unknown_need(job))
        self.needs[job] = None
        if rest == ["result"]:
            return f"results[{quoted(job)}]"
        if len(rest) == 2 and rest[0] == "outputs":  # noqa: PLR2004 - outputs.NAME
            return self._output(job, rest[1])
        raise ExpressionProblem(f"needs.{'.'.join(names)} means nothing: a job has {_OF_NEED}")

    def _unknown_need(self, job: str) -> str:
        if job in self.state.file.jobs:
            return f"{job!r} is not under needs of this job: add it there"
        near = nearest(job, self.known, "it needs no job")
        return f"{job!r} is not under needs of this job; {near}"

    def _output(self, job: str, output: str) -> str:
        declared = self.state.file.jobs[job].outputs or {}
        if output not in declared:
            hint = nearest(output, declared, "it has none")
            raise ExpressionProblem(f"{output!r} is not an output of {job!r}; {hint}")
        if declared[output].type != "string":
            kind = declared[output].type
            raise ExpressionProblem(
                f"{job}.outputs.{output} is of type {kind}: only strings have a value"
            )
        combinations = self.state.combinations[job]
        if combinations[0].name != job:
            raise ExpressionProblem(
                f"every combination of {job!r} makes its own {output!r}: let a job take them as "
                f"an input ({job}.outputs.{output}), and look at what it makes of them"
            )
        self.outputs[job, output] = None
        return f"outputs[{quoted(job)}][{quoted(output)}]"


def _only(root: str, names: tuple[str, ...]) -> str:
    if len(names) != 1:
        raise ExpressionProblem(f"{root} is followed by one name, as {root}.NAME")
    return names[0]
