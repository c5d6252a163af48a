"""What the API server checks beyond shapes: CEL rules, each with a sentence for the author.

A rule may cost 10,000,000 units by the API server's estimate, all of a kind 100,000,000, and
1,000,000 when it runs: that is why every map, list and string of the models has a bound. Cycles and
whatever CEL cannot say become the condition `Accepted` within a second.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from pydantic import BaseModel

from gradient_operator.api.base import MAX_ARGS, MAX_ENV, MAX_NEEDS
from gradient_operator.api.datasets import (
    DatasetVersionSpec,
    ModelSpec,
    Retention,
    StorageProviderSpec,
)
from gradient_operator.api.run import RunSpec
from gradient_operator.api.structural import Schema
from gradient_operator.api.workflow import JobOutput, WorkflowSpec

MAX_EDGES: Final = 20_000
"""Names in the `needs` of all jobs together; more would end in "cost limit exceeded"."""
MAX_ENTRIES: Final = 40_000
"""Arguments, and variables, of all jobs together, for the same reason."""
MAX_OBJECT_NAME: Final = 63
"""Names of workflows and runs become labels."""
MAX_TOTAL_TEXT: Final = 524_288
"""Characters of all scripts, arguments and variables of a file: a run holds a copy of it beside the
status of all jobs, and etcd takes 1.5 MiB."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `x-kubernetes-validations`; `expression` makes a message from the object.

    `place` is the path of the field that it is about, where that is not the one that it stands at.
    """

    rule: str
    message: str
    expression: str = ""
    place: str = ""

    def as_schema(self) -> Schema:
        """The entry as a CRD holds it."""
        entry = {"rule": self.rule, "message": self.message}
        if self.expression:
            entry["messageExpression"] = self.expression
        if self.place:
            entry["fieldPath"] = self.place
        return entry


# A rule about jobs finds their names and lengths by `self`, as its cost is reckoned from the bounds
# of what a path leads to, and what is in a job by `jobs`, a short name for the same map: with each
# step of a path the API server writes down all fields of the object there, which cost it more than
# everything else about a new run. Sums are made where there are enough jobs to exceed them, first
# those of lengths, as further ones must not cost too much.
def _total(of_one: str) -> str:
    return f"self.map(j, {of_one}).sum()"


def _at_most(limit: int, of_one: str, *, each: int) -> str:
    """Whether a number of all jobs is at most `limit`, where a job can have `each`."""
    return f"(size(jobs) <= {limit // each} || {_total(of_one)} <= {limit})"


_NEEDS: Final = "has(jobs[j].needs)"
_SPARSE: Final = _at_most(MAX_EDGES, f"{_NEEDS} ? size(jobs[j].needs) : 0", each=MAX_NEEDS)
_STEP: Final = 16
_CHECKED_NEEDS: Final = 192
"""Of so many needs of a job the API server says whether they are jobs, of further ones the operator
does: a CEL rule may not cost as much as MAX_JOBS times MAX_NEEDS look-ups."""


def _numbers(count: int, step: int = 1) -> str:
    return f"[{', '.join(str(number) for number in range(0, count, step))}]"


# Each list of needs by numbers, in steps: the cost is reckoned from the lengths of lists.
_KNOWN: Final = (
    f"[jobs[j].needs].all(names, {_numbers(_CHECKED_NEEDS, _STEP)}.all(s, "
    f"s >= size(names) || {_numbers(_STEP)}.all(i, "
    "s + i >= size(names) || (names[s + i] != j && names[s + i] in jobs))))"
)
_UNKNOWN: Final = "every name in `needs` must be the name of another job"
_DENSE: Final = (
    f"the lists `needs` of all jobs together may hold at most {MAX_EDGES} names: "
    "put a job between that gathers, instead of letting every job need every other"
)
_FEW_ARGUMENTS: Final = _at_most(
    MAX_ENTRIES,
    "has(jobs[j].with) && has(jobs[j].with.args) ? size(jobs[j].with.args) : 0",
    each=MAX_ARGS,
)
_SCRIPTS: Final = _total(
    "has(jobs[j].with) ? [jobs[j].with].map(step, "
    "(has(step.script) ? size(step.script) : 0)"
    " + (has(step.args) ? self[j].with.args.map(a, size(a)).sum() : 0))[0] : 0"
)
_FEW_VARIABLES: Final = _at_most(
    MAX_ENTRIES, "has(jobs[j].env) ? size(jobs[j].env) : 0", each=MAX_ENV
)
_VARIABLES: Final = _total(
    "has(jobs[j].env) ? [jobs[j].env].map(env, self[j].env.map(e, size(env[e])).sum())[0] : 0"
)
JOBS: Final = (
    Rule(
        rule=f"{_SPARSE} && self.all(j, !{_NEEDS} || {_KNOWN})",
        message=f"{_UNKNOWN}; {_DENSE}",
        expression=f"{_SPARSE} ? '{_UNKNOWN}: look at job ' + "
        f"self.filter(j, {_NEEDS} && !{_KNOWN})[0] : '{_DENSE}'",
    ),
    # Scripts and variables apart, as both in one rule cost too much; the operator adds them up.
    Rule(
        rule=f"{_FEW_ARGUMENTS} && {_SCRIPTS} <= {MAX_TOTAL_TEXT}",
        message="the scripts and arguments of all jobs together may have at most "
        f"{MAX_TOTAL_TEXT} characters, and {MAX_ENTRIES} arguments: "
        "move code into an image or a repository",
    ),
    Rule(
        rule=f"{_FEW_VARIABLES} && {_VARIABLES} <= {MAX_TOTAL_TEXT}",
        message=f"all jobs together may have at most {MAX_ENTRIES} variables, "
        f"with {MAX_TOTAL_TEXT} characters: write what they share into `defaults.env`",
    ),
)
DATASET_OUTPUT: Final = (
    Rule(
        rule="self.type != 'dataset' || "
        "(has(self.with) && (has(self.with.ref) || has(self.with.id)))",
        message="an output of type dataset must name the dataset under `with.ref`",
    ),
)
OBJECT_NAME: Final = (
    Rule(
        rule=f"size(self.metadata.name) <= {MAX_OBJECT_NAME}",
        message=f"metadata.name may have at most {MAX_OBJECT_NAME} characters",
    ),
)


_SELF: Final = re.compile(r"\bself\b")
_OF_RUN: Final = "self.spec.definition.jobs"
_MOVES: Final = "has(self.status) && has(self.status.progress)"


def _named(rule: Rule, path: str = "self") -> Rule:
    """For the jobs under `path`, which have the short name `jobs` then."""
    condition, text = (_SELF.sub(path, each) for each in (rule.rule, rule.expression))
    return replace(
        rule,
        rule=f"[{path}].all(jobs, {condition})",
        expression=f"[{path}].map(jobs, {text})[0]" if text else "",
    )


def _at_creation(rule: Rule) -> Rule:
    """For the jobs of a run, from the root: they never change, and statuses are written often.

    A second of processor time was spent on these rules for each status of a thousand jobs.
    """
    named = _named(rule, _OF_RUN)
    return replace(
        named,
        rule=f"has(self.status) || !has({_OF_RUN}) || {named.rule}",
        place=f".{_OF_RUN.partition('.')[2]}",
    )


def _fixed(field: str) -> Rule:
    same = f"self.{field} == oldSelf.{field}"
    return Rule(
        rule=f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || {same})",
        message=f"spec.{field} of a run cannot be changed: make a new run",
    )


RUN_OBJECT: Final = (
    *map(_at_creation, JOBS),
    # Who writes the status cannot change the spec: where it moves, nothing has to be compared.
    Rule(
        rule=f"({_MOVES} && {_MOVES.replace('self', 'oldSelf')} && "
        "self.status.progress != oldSelf.status.progress) || "
        "self.spec.definition == oldSelf.spec.definition",
        message="spec.definition of a run cannot be changed: make a new run",
        place=".spec.definition",
    ),
)
RUN: Final = (
    _fixed("policy"),
    _fixed("inputs"),
    _fixed("trigger"),
    _fixed("workflow"),
    _fixed("rerunOf"),
    Rule(
        rule="!has(oldSelf.cancel) || !oldSelf.cancel || (has(self.cancel) && self.cancel)",
        message="a cancelled run cannot go on: make a new run",
    ),
)
VERSION: Final = (
    Rule(rule="self == oldSelf", message="a dataset version cannot be changed: make a new one"),
)
RETENTION: Final = (
    Rule(
        rule="has(self.keepLast) || has(self.keepUsedWithin)",
        message="retention must say what to keep: set keepLast, keepUsedWithin, or both",
    ),
)
PROVIDER: Final = (
    Rule(
        rule="has(self.credentialsSecret) != has(self.webIdentity)",
        message="say what opens the bucket: either credentialsSecret or webIdentity",
    ),
)
MODEL: Final = (
    Rule(rule="self == oldSelf", message="a registered model cannot be changed: make a new one"),
)


def add_rules(model: type[BaseModel], schema: Schema) -> None:
    """Write the rules of a model into its schema."""
    if model is WorkflowSpec:
        _add(schema["properties"]["jobs"], tuple(map(_named, JOBS)))
    elif model is JobOutput:
        _add(schema, DATASET_OUTPUT)
    elif model is RunSpec:
        _add(schema, RUN)
    elif model is DatasetVersionSpec:
        _add(schema, VERSION)
    elif model is Retention:
        _add(schema, RETENTION)
    elif model is StorageProviderSpec:
        _add(schema, PROVIDER)
    elif model is ModelSpec:
        _add(schema, MODEL)


def _add(schema: Schema, rules: tuple[Rule, ...]) -> None:
    schema["x-kubernetes-validations"] = [rule.as_schema() for rule in rules]
