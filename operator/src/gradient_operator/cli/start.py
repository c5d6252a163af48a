"""Starts a run by hand: brings the workflow up to date, then creates the `GradientRun`.

A workflow that starts runs by itself is never changed here: the change would start a second run.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.api.names import API_VERSION, LABEL_WORKFLOW
from gradient_operator.cli.manifest import workflow_object
from gradient_operator.cli.patch import merge_patch, without_nulls
from gradient_operator.kube.errors import AlreadyExists, NotFound
from gradient_operator.kube.resources import RUNS, WORKFLOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradient_operator.cli.cluster import Cluster
    from gradient_operator.cli.definition import Definition

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_SUFFIX: Final = 10
_LABEL_LIMIT: Final = 63
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run to be started: of what, with which inputs, under which policy."""

    workflow: Mapping[str, Any]
    """The `GradientWorkflow` as the API server has it."""
    spec: Mapping[str, Any]
    """The definition that the run gets a copy of, without `policy`."""
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    """What to change in the workflow's policy, for this run only."""


def split_spec(workflow: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The definition and the policy of a workflow; `on` is called `on` whoever applied it."""
    spec = dict(workflow.get("spec") or {})
    policy = spec.pop("policy", None) or {}
    spec.pop("suspend", None)
    if "true" in spec:
        spec.setdefault("on", spec.pop("true"))
        spec.pop("true", None)
    return spec, policy


async def bring_up_to_date(
    cluster: Cluster, definition: Definition, *, say: Callable[[str], None]
) -> dict[str, Any]:
    """Create the workflow of a file, or change it to what the file says; return it.

    A new workflow gets `policy.start: Manual`, unless the file sets it or has `on.manual` anyway,
    so that creating it starts no second run and no schedule. An existing one keeps its policy.
    """
    client, namespace = cluster.client, cluster.namespace
    try:
        existing = await client.get(WORKFLOWS, name=definition.name, namespace=namespace)
    except NotFound:
        policy = dict(definition.policy or {})
        if not _waits_for_a_hand(definition.spec, policy):
            policy.setdefault("start", "Manual")
            if policy["start"] == "Manual":
                _say_of_schedule(definition, say)
        body = workflow_object(
            definition.name,
            namespace=namespace,
            spec=without_nulls(definition.spec),
            policy=without_nulls(policy) or None,
            metadata=definition.metadata,
        )
        created = await client.create(WORKFLOWS, body, namespace=namespace)
        say(f"Created workflow {definition.name} in namespace {namespace}.")
        return created
    spec, policy = split_spec(existing)
    if same(spec, definition.spec):
        return existing
    if _starts_when_changed(definition.spec, policy):
        say(
            f"Workflow {definition.name} starts a run at every change (policy.start: Auto), so it "
            "stays as it is; this run takes the file's content."
        )
        return existing
    from gradient_operator.cli.definition import OURS

    patch = merge_patch(
        {key: value for key, value in existing["spec"].items() if key not in OURS},
        definition.spec,
    )
    version = existing["metadata"].get("resourceVersion")
    changed = await client.merge_patch(
        WORKFLOWS,
        {"metadata": {"resourceVersion": version}, "spec": patch},
        name=definition.name,
        namespace=namespace,
    )
    say(f"Updated workflow {definition.name} in namespace {namespace}.")
    return changed


def _trigger(spec: Mapping[str, Any], policy: Mapping[str, Any]) -> str:
    """What would start runs of this definition: Spec, Schedule or Manual."""
    from gradient_operator.workflow.triggers import trigger_of
    from gradient_operator.workflow.validate import parse_spec

    return trigger_of(parse_spec({**spec, "policy": policy})).kind


def _waits_for_a_hand(spec: Mapping[str, Any], policy: Mapping[str, Any]) -> bool:
    on = spec.get("on") or {}
    return _trigger(spec, policy) == "Manual" and "manual" in on


def _starts_when_changed(spec: Mapping[str, Any], policy: Mapping[str, Any]) -> bool:
    from gradient_operator.workflow.model import Refused

    try:
        return _trigger(spec, policy) == "Spec"
    except Refused:  # the policy in the cluster is of another version: touch nothing
        return True


def _say_of_schedule(definition: Definition, say: Callable[[str], None]) -> None:
    if (definition.spec.get("on") or {}).get("schedule"):
        say(
            "Its schedule starts nothing yet (policy.start: Manual). To put it in force: kubectl "
            f"patch gwf {definition.name} --type=merge -p "
            '\'{"spec":{"policy":{"start":"Auto"}}}\''
        )


def same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Whether two definitions mean the same, whatever defaults the API server filled in."""
    from gradient_operator.workflow.model import Refused
    from gradient_operator.workflow.validate import parse_file

    try:
        return parse_file(left) == parse_file(right)
    except Refused:  # what is in the cluster may be invalid: then it is to be replaced
        return False


async def create_run(cluster: Cluster, order: Order) -> dict[str, Any]:
    """Create the run and return it as stored."""
    for attempt in range(_ATTEMPTS):
        try:
            return await cluster.client.create(
                RUNS, _run(order, cluster.namespace), namespace=cluster.namespace
            )
        except AlreadyExists:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _run(order: Order, namespace: str) -> dict[str, Any]:
    name, uid = order.workflow["metadata"]["name"], order.workflow["metadata"]["uid"]
    _, policy = split_spec(order.workflow)
    effective = {**_merged(policy, order.policy)}
    effective.pop("start", None)
    spec = {
        "workflow": name,
        "trigger": {"kind": "Manual"},
        "definition": without_nulls(order.spec),
        **({"policy": effective} if effective else {}),
        **({"inputs": dict(order.inputs)} if order.inputs else {}),
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "GradientRun",
        "metadata": {
            "name": run_name(name),
            "namespace": namespace,
            "labels": {LABEL_WORKFLOW: name} if len(name) <= _LABEL_LIMIT else {},
            "ownerReferences": [
                {"apiVersion": API_VERSION, "kind": "GradientWorkflow", "name": name, "uid": uid}
            ],
        },
        "spec": spec,
    }


def run_name(workflow: str) -> str:
    """`<workflow>-<ten random characters>`, short enough for a label."""
    head = workflow[: _LABEL_LIMIT - _SUFFIX - 1].rstrip("-.")
    return f"{head}-{''.join(secrets.choice(_ALPHABET) for _ in range(_SUFFIX))}"


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        inner = merged.get(key)
        if isinstance(inner, dict) and isinstance(value, dict):
            merged[key] = _merged(inner, value)
        else:
            merged[key] = value
    return merged
