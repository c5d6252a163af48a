"""Begins a run, or takes one up again after a restart: compile, pin, choose, remember."""

import json
from functools import lru_cache
from typing import Any

from gradient_operator.api.run import RerunOf, RunSpec
from gradient_operator.api.times import parse_time
from gradient_operator.api.workflow import Policy
from gradient_operator.controllers.ledger import load_jobs, load_suspension, load_volumes
from gradient_operator.controllers.pinning import StartRefused, load_pinned, pin_inputs
from gradient_operator.controllers.records import RunView
from gradient_operator.controllers.reruns import Parent, read_parent
from gradient_operator.controllers.run_state import RunState, identity_of
from gradient_operator.controllers.services import Services
from gradient_operator.controllers.storage import NoStorage, storage_of_run
from gradient_operator.datasets.provenance import spec_digest
from gradient_operator.engine.model import JobRecord, RunPhase
from gradient_operator.engine.rerun import adopt
from gradient_operator.engine.volumes import choose, claim_users, users
from gradient_operator.kube.codec import encode
from gradient_operator.kube.errors import NotFound
from gradient_operator.kube.resources import CLAIMS
from gradient_operator.pods.request import Storage
from gradient_operator.workflow.compile import compile_file
from gradient_operator.workflow.model import CompiledWorkflow, Refused
from gradient_operator.workflow.policy_jobs import unknown_jobs
from gradient_operator.workflow.state import event_of
from gradient_operator.workflow.validate import parse_run


async def begin(services: Services, view: RunView) -> RunState:
    """Make the state of a run from its object alone.

    Raises:
        StartRefused: the run can never start; the reason goes into its status.
        KubeError: the API server does not answer; try again.
    """
    spec, workflow, digest = check(view)
    policy = spec.policy or Policy()
    provider = policy.datasets.provider
    status = view.status
    resumed = bool(status.get("startedAt"))
    parent = None if resumed else await read_parent(services.client, view, spec, workflow)
    if resumed:
        pinned = load_pinned(status)
    elif parent is not None and parent.pinned:
        pinned = dict(parent.pinned)
    else:
        pinned = await pin_inputs(
            services.client,
            workflow,
            namespace=view.namespace,
            provider=provider,
            public=services.config.public_datasets,
        )
    storage, storage_error = _storage(services, view, provider)
    event = event_of(spec.definition)
    state = RunState(
        identity=identity_of(view, event.ref or ""),
        spec_digest=digest,
        repository=event.url or "",
        workflow=workflow,
        policy=policy,
        provider=provider,
        storage=storage,
        storage_error=storage_error,
        storage_claim=await _storage_claim(services, view.namespace),
        ledger=_ledger(workflow, status),
        pinned=pinned,
        volumes=load_volumes(status),
        phase=RunPhase.RUNNING,
        started_at=parse_time(status.get("startedAt")) or services.clock(),
        suspension=load_suspension(status),
        ceilings=services.config.policy_of(view.namespace).timeouts,
        written=dict(status),
    )
    state.claim_users = claim_users(workflow, state.volumes)
    choose_volumes(services, state)
    if parent is not None and spec.rerun_of is not None and spec.rerun_of.jobs == "Failed":
        _take_over(state, parent, spec.rerun_of)
    return state


def _take_over(state: RunState, parent: Parent, wanted: RerunOf) -> None:
    """Take what jobs of an earlier run made for that of this run's."""
    found = adopt(
        state.workflow,
        parent.ledger,
        run=parent.name,
        volumes=state.volumes,
        again=wanted.from_,
    )
    state.ledger = {**state.ledger, **found}
    state.adopted = bool(found)


def check(view: RunView) -> tuple[RunSpec, CompiledWorkflow, str]:
    """Read and compile the definition of a run with the values that it was given.

    The third is the digest of its spec, for the provenance of what it makes.

    Raises:
        StartRefused: it is not valid.
    """
    try:
        spec, workflow, digest = _compiled(encode(view.spec))
        # What ran before this was checked runs on.
        begun = bool(view.status.get("startedAt"))
        wrong = () if begun else tuple(unknown_jobs(spec.definition, spec.policy))
        if wrong:
            raise Refused(wrong)
    except Refused as refused:
        raise StartRefused("InvalidDefinition", refused.summary()) from None
    return spec, workflow, digest


@lru_cache(maxsize=16)
def _compiled(spec: bytes) -> tuple[RunSpec, CompiledWorkflow, str]:
    """Read and compile a run's `spec`: a thousand runs of one workflow share what comes of it."""
    given = json.loads(spec)
    digest = spec_digest(given)
    read = parse_run(given)
    return read, compile_file(read.definition, given=read.inputs or {}).workflow, digest


def _storage(services: Services, view: RunView, provider: str | None) -> tuple[Storage | None, str]:
    try:
        storage = storage_of_run(
            services.config, services.definitions, namespace=view.namespace, provider=provider
        )
    except NoStorage as error:
        return None, str(error)
    return storage, ""


def refresh_storage(services: Services, state: RunState, view: RunView) -> None:
    """Look again for a provider that was missing."""
    if state.storage is None:
        state.storage, state.storage_error = _storage(services, view, state.provider)


def choose_volumes(services: Services, state: RunState) -> None:
    """Choose the modes of volumes that have none yet, once the machine types of all are known."""
    if state.volumes_chosen:
        return
    wanted = users(state.workflow)
    types = services.definitions.instance_types
    if len(state.volumes) == len(wanted):
        state.volumes_chosen = True
        return
    if any(
        state.workflow.jobs[job].instance_type not in types
        for jobs in wanted.values()
        for job in jobs
    ):
        return
    state.volumes = choose(
        state.workflow,
        run=state.identity.name,
        policy=state.policy.volumes,
        instance_types=types,
        read_write_many_class=services.config.volumes.read_write_many_class,
    )
    state.claim_users = claim_users(state.workflow, state.volumes)
    state.volumes_chosen = True


def _ledger(workflow: CompiledWorkflow, status: Any) -> dict[str, JobRecord]:
    known = load_jobs(status)
    return {name: known.get(name, JobRecord()) for name in workflow.jobs}


async def _storage_claim(services: Services, namespace: str) -> str | None:
    """The claim for /storage, if it is configured and this namespace has it."""
    claim = services.config.storage_claim
    if claim is None:
        return None
    try:
        await services.client.get(CLAIMS, name=claim, namespace=namespace)
    except NotFound:
        return None
    return claim
