"""Whether a definition is valid: the one answer for the command line and the condition `Accepted`.

Everything that a rule says about content is asked from here: shapes, then references and bounds,
then advice. What a text may get wrong before it is content is the loader's business.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final

from gradient_operator.api.workflow import WorkflowSpec
from gradient_operator.workflow.compile import compile_file
from gradient_operator.workflow.credentials import credentials
from gradient_operator.workflow.model import MAX_PROBLEMS, CompiledWorkflow, Problem, Refused
from gradient_operator.workflow.policy_jobs import unknown_jobs
from gradient_operator.workflow.salvage import further_problems
from gradient_operator.workflow.scripts import script_advice
from gradient_operator.workflow.unused import unused_outputs
from gradient_operator.workflow.validate import parse_spec

MAX_BYTES: Final = 524_288
"""Of a definition as JSON: a run holds a copy beside its status, and etcd takes 1.5 MiB."""


_OURS: Final = frozenset({"policy", "suspend"})
"""Keys of a workflow's spec that are no part of the file."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A valid definition, and what its author should look at."""

    spec: WorkflowSpec
    workflow: CompiledWorkflow
    warnings: tuple[Problem, ...]


def check(spec: Mapping[str, Any]) -> Checked:
    """Check a Gradient file, or the spec of a `GradientWorkflow`.

    Raises:
        Refused: it is not valid; with every reason.
    """
    size = len(definition_text(spec))
    if size > MAX_BYTES:
        text = f"is {size} bytes long, at most {MAX_BYTES} fit: split the workflow"
        raise Refused((Problem((), text, "too-large"),))
    try:
        parsed = parse_spec(spec)
    except Refused as refused:
        further = () if refused.hidden else further_problems(spec, refused.problems)
        raise Refused((*refused.problems, *further), refused.hidden) from None
    wrong = tuple(islice(unknown_jobs(parsed, parsed.policy), MAX_PROBLEMS))
    advice = islice(_advice(parsed), MAX_PROBLEMS)
    try:
        compiled = compile_file(parsed)
    except Refused as refused:
        raise Refused((*refused.problems, *wrong, *advice), refused.hidden) from None
    if wrong:
        raise Refused((*wrong, *compiled.warnings, *advice))
    return Checked(parsed, compiled.workflow, (*compiled.warnings, *advice))


def _advice(spec: WorkflowSpec) -> Iterator[Problem]:
    """What is valid and yet most likely not meant."""
    return chain(unused_outputs(spec), credentials(spec), script_advice(spec))


def definition_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a spec that is the Gradient file, which a run copies.

    A bare `on` may have come as "true": a run knows it by its own name.
    """
    return {("on" if key == "true" else key): spec[key] for key in spec if key not in _OURS}


def definition_text(spec: Mapping[str, Any]) -> str:
    """That part as JSON: equal for equal definitions."""
    return json.dumps(definition_of(spec), sort_keys=True, separators=(",", ":"))
