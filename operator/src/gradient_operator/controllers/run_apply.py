"""Carries out what was planned for a run. Every action is idempotent: by name, or by UID."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gradient_operator.api.times import parse_time
from gradient_operator.config import BlobCache as BlobCacheConfig
from gradient_operator.controllers import commit, inputs, results, run_claims
from gradient_operator.controllers.pinning import StartRefused
from gradient_operator.controllers.records import project_pod
from gradient_operator.controllers.run_state import RunState
from gradient_operator.controllers.services import Services
from gradient_operator.controllers.storage import DefaultStore, SecretHandout
from gradient_operator.dataset_versions import CommitRefused
from gradient_operator.datasets.errors import BlobMissingError, DatasetError, ResultError
from gradient_operator.engine.actions import (
    AbortUpload,
    Action,
    CommitOutputs,
    CreatePod,
    DeletePod,
    FindResult,
    ReadResult,
    RegisterModel,
)
from gradient_operator.engine.memory import in_bytes, larger
from gradient_operator.engine.model import PodRecord, UploadResult
from gradient_operator.engine.volumes import placed, unused_claims
from gradient_operator.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
)
from gradient_operator.kube.limits import TokenBucket
from gradient_operator.kube.resources import PODS
from gradient_operator.pods.build import build_pod
from gradient_operator.pods.request import BlobCache, PodRequest, Settings
from gradient_operator.workflow.model import CompiledJob

logger = logging.getLogger(__name__)

AT_ONCE: Final = 32
"""Requests of one run that are under way at once."""
PODS_IN_A_TURN: Final = 100
"""So many Pods a look makes while others wait to be looked at; then it is their turn."""


class NotLeading(Exception):
    """Another process may lead: nothing may be written any more."""


@dataclass(slots=True)
class Applier:
    """Turns actions into requests."""

    services: Services
    bucket: TokenBucket
    handout: SecretHandout | None
    store: DefaultStore | None
    _making: set[tuple[str, str]] = field(default_factory=set)

    def makes(self, pod: PodRecord | None) -> bool:
        """Whether a look is making this Pod, not answered yet, and will plan with it."""
        return pod is not None and (pod.namespace, pod.name) in self._making

    async def apply(
        self, state: RunState, actions: tuple[Action, ...], *, outdated: Callable[[RunState], bool]
    ) -> bool:
        """Carry the actions out; answers whether planning again would now see more.

        No Pod is made any more once the plan is outdated: a run that is cancelled while two
        thousand Pods are being made stops at once. Nor is one after those of a turn, if others
        wait: `state.gave_way` tells that a later look has to make the rest.

        Raises:
            KubeError: one of them failed in a way that a later try may not; the others were done.
        """
        limit, left = asyncio.Semaphore(AT_ONCE), PODS_IN_A_TURN
        state.gave_way = False

        async def one(action: Action) -> bool:
            nonlocal left
            async with limit:
                if not self.services.is_leader():
                    raise NotLeading
                if isinstance(action, CreatePod):
                    if outdated(state):
                        return True
                    state.gave_way = state.gave_way or (left <= 0 and self.services.queue.depth > 0)
                    if state.gave_way:
                        return False
                    left -= 1
                return await self._one(state, action)

        if len(actions) <= 1:  # as most looks: no task for it
            return bool(actions) and await one(actions[0])
        done = await asyncio.gather(*(one(action) for action in actions), return_exceptions=True)
        failed = [result for result in done if isinstance(result, BaseException)]
        for error in failed:
            raise error
        return any(result is True for result in done)

    async def _one(self, state: RunState, action: Action) -> bool:
        match action:
            case CreatePod(job, attempt):
                return await self._make_pod(state, state.workflow.jobs[job], attempt)
            case DeletePod():
                await self.delete(state.identity.namespace, action)
                return False
            case AbortUpload(_, pod_uid):
                return await self._abort(state, pod_uid)
            case CommitOutputs():
                return await self._commit(state, action)
            case ReadResult(job, pod_uid):
                return await self._read_result(state, job, pod_uid)
            case FindResult(job, key):
                state.found[job] = await self.services.results.find(
                    self.services.client, namespace=state.identity.namespace, key=key
                )
                return True
            case RegisterModel(job):
                return await self._register(state, state.workflow.jobs[job])

    async def _make_pod(self, state: RunState, job: CompiledJob, attempt: int) -> bool:
        body = build_pod(self._request(state, job, attempt))
        place = state.identity.namespace, body["metadata"]["name"]
        self._making.add(place)
        try:
            return await self._create_pod(state, job, attempt, body)
        finally:
            self._making.discard(place)

    async def _create_pod(
        self, state: RunState, job: CompiledJob, attempt: int, body: dict[str, Any]
    ) -> bool:
        try:
            await self._prepare(state, job, helped="initContainers" in body["spec"])
            async with self.bucket.request():
                waited = time.monotonic() - state.noticed_at
                self.services.metrics.reaction_seconds.observe(waited)
                created = await self.services.client.create(PODS, body, brief=True)
        except AlreadyExists:
            return await self._adopt(state, job, body["metadata"]["name"])
        except (Invalid, Forbidden, Conflict) as error:
            # A quota, Pod Security or an image name that is none: shown, and tried again later.
            state.problems[job.name] = f"its Pod cannot be made: {error.message}"
            raise
        ready_at = state.ledger[job.name].ready_at
        if attempt == 1 and ready_at is not None:
            waited = self.services.clock() - ready_at
            self.services.metrics.job_wait_creation_seconds.observe(max(0.0, waited))
        state.problems.pop(job.name, None)
        # What else the API server made of it, the watch will tell.
        assumed = {**body, "metadata": created["metadata"], "status": {"phase": "Pending"}}
        self.services.assume_pod(project_pod(assumed))
        return True

    async def _adopt(self, state: RunState, job: CompiledJob, name: str) -> bool:
        """A Pod of that name exists: from before a crash, or somebody else's."""
        found = project_pod(
            await self.services.client.get(PODS, name=name, namespace=state.identity.namespace)
        )
        if found.run_uid != state.identity.uid or found.job != job.name:
            state.problems[job.name] = (
                f"a Pod called {name} exists that does not belong to this run: delete it"
            )
            raise Conflict(state.problems[job.name])
        state.problems.pop(job.name, None)
        self.services.assume_pod(found)
        return True

    async def _prepare(self, state: RunState, job: CompiledJob, *, helped: bool) -> None:
        """Make what the Pod mounts: claims, and the Secret of the default provider."""
        for claim, volume in inputs.claims_of(job, state.volumes).items():
            if claim not in state.claims:
                shared_class = self.services.config.volumes.read_write_many_class
                await run_claims.create(
                    self.services.client, state, claim, volume=volume, shared_class=shared_class
                )
                state.claims.add(claim)
        if helped and self.handout is not None and state.provider is None:
            await self.handout.ensure(state.identity.namespace)

    def _request(self, state: RunState, job: CompiledJob, attempt: int) -> PodRequest:
        config = self.services.config
        types = self.services.definitions.instance_types
        held = [
            claim
            for claim, volume in inputs.claims_of(job, state.volumes).items()
            if volume.mode == "ReadWriteOnce"
        ]
        sharing = {name for claim in held for name in state.claim_users[claim]}
        machine = placed(
            types[job.instance_type],
            (types.get(state.workflow.jobs[name].instance_type) for name in sharing),
        )
        more = state.ledger[job.name].memory
        if more is not None:
            machine = machine.model_copy(update={"memory": larger(more, machine.memory)})
        found = inputs.resolve_inputs(
            job,
            ledger=state.ledger,
            pinned=state.pinned,
            volumes=state.volumes,
            policy=state.policy,
        )
        return PodRequest(
            run=state.identity,
            job=job,
            attempt=attempt,
            machine=machine,
            policy=state.policy,
            settings=Settings(
                helper_image=config.helper_image,
                finalizer=config.pod_finalizer,
                storage_claim=state.storage_claim,
                default_image=config.default_image,
                priority_class=config.priority_class(
                    config.priority_of(state.identity.namespace, state.policy.priority)
                ),
                blob_cache=_blob_cache(config.policy_of(state.identity.namespace).blob_cache),
            ),
            inputs=found,
            volumes={
                output.name: state.volumes[f"{job.name}.{output.name}"]
                for output in job.outputs
                if output.type == "volume"
            },
            storage=state.storage,
            bases=inputs.fetched_versions(found),
            held_claims=tuple(held),
        )

    async def drop_claims(self, state: RunState | None) -> bool:
        """Delete the claims of volumes that no job of the run will use any more.

        Answers whether all of them are gone, as far as it is up to us; while a Pod that mounts one
        has not ended, its end is the time to ask again.

        Raises:
            KubeError: one of them was not deleted; try again.
            NotLeading: this process may not write any more.
        """
        if state is None:
            return True
        unused = unused_claims(state.claim_users, state.ledger)
        for claim in sorted(unused):
            if claim not in state.dropped:
                if not self.services.is_leader():
                    raise NotLeading
                in_use = self._in_use(state, claim)
                if await run_claims.drop(self.services.client, state, claim, in_use=in_use):
                    state.dropped.add(claim)
        return unused <= state.dropped

    def _in_use(self, state: RunState, claim: str) -> bool:
        """Whether a Pod that mounts the claim has not ended yet."""
        run, users = state.identity, state.claim_users[claim]
        pods = self.services.pods.of(run.namespace, run.name).values()
        return any(pod.run_uid == run.uid and pod.job in users and not pod.terminal for pod in pods)

    async def delete(self, namespace: str, action: DeletePod) -> None:
        """Delete one Pod; one that is gone, or another one of its name, is none of ours."""
        with suppress(NotFound, Conflict):
            await self.services.client.delete(
                PODS,
                name=action.name,
                namespace=namespace,
                uid=action.uid,
                grace_seconds=action.grace_seconds,
            )

    async def _abort(self, state: RunState, pod_uid: str) -> bool:
        if self.store is not None and state.provider is None and pod_uid not in state.aborted:
            try:
                await self.store.abort(pod_uid)
            except DatasetError as error:
                # Storage that is away comes back, and with it the upload: it is told then.
                raise KubeError(f"cannot tell an uploader to stop: {error}") from error
            state.aborted.add(pod_uid)
        return False

    async def _commit(self, state: RunState, action: CommitOutputs) -> bool:
        job = state.workflow.jobs[action.job]
        source = self._source(state, job, pod_uid=action.pod_uid)
        for name, record in action.outputs.items():
            output = job.output(name)
            if output is None or output.dataset is None:
                continue
            try:
                await commit.commit_version(
                    self.services.client,
                    source=source,
                    output=name,
                    dataset=output.dataset,
                    record=record,
                    provider=state.provider,
                    must_exist=state.policy.datasets.must_exist,
                    metrics=self.services.metrics,
                )
            except CommitRefused as refused:
                self.services.metrics.dataset_commit_failures_total.labels("refused").inc()
                state.results[action.pod_uid] = UploadResult(
                    error=str(refused), reason="CommitRefused", refused=True
                )
                return True
        state.committed.add(action.pod_uid)
        return True

    async def _read_result(self, state: RunState, job: str, pod_uid: str) -> bool:
        """The message was too small for the outputs: read them where they stand in full."""
        reference = f"runs/{pod_uid}/result.json"
        if self.store is None or state.provider is not None:
            state.results[pod_uid] = UploadResult(
                error=f"job {job} has more outputs than fit into a Pod's message, and the operator "
                "may not read the bucket of a namespace's own provider: split the job",
                reason="ResultTooLarge",
                refused=True,
            )
            return True
        try:
            full = await self.store.read_result(reference)
        except (ResultError, BlobMissingError) as error:
            state.results[pod_uid] = UploadResult(error=str(error), unreadable=True)
            return True
        except DatasetError as error:
            logger.warning("cannot read %s: %s", reference, error)
            raise KubeError(str(error)) from error
        state.results[pod_uid] = results.of_full(full, reference)
        return True

    async def _register(self, state: RunState, job: CompiledJob) -> bool:
        try:
            version = commit.model_version(
                job,
                namespace=state.identity.namespace,
                ledger=state.ledger,
                pinned=state.pinned,
            )
            state.models[job.name] = await commit.register_model(
                self.services.client, job, source=self._source(state, job), version=version
            )
        except StartRefused as refused:
            state.problems[job.name] = f"the model cannot be registered: {refused}"
            return False
        except (Invalid, Forbidden) as error:
            state.problems[job.name] = f"the model cannot be registered: {error.message}"
            raise
        state.problems.pop(job.name, None)
        return True

    def _source(self, state: RunState, job: CompiledJob, *, pod_uid: str = "") -> commit.Source:
        run = state.identity
        read = commit.input_versions(
            job, namespace=run.namespace, pinned=state.pinned, ledger=state.ledger
        )
        pods = self.services.pods.of(run.namespace, run.name).values()
        return commit.Source(
            namespace=run.namespace,
            run=run.name,
            run_uid=run.uid,
            job=job.name,
            inputs=tuple(read),
            input_digests={name: digest for name, digest in read.items() if digest},
            workflow=run.workflow,
            attempt=state.ledger[job.name].attempt,
            spec_digest=state.spec_digest,
            repository=state.repository,
            revision=run.git_sha,
            pod=next((pod for pod in pods if pod.uid == pod_uid), None),
        )

    async def release(self, pod: PodRecord) -> None:
        """Take our finalizer off a Pod; a Pod that is gone, or another one, is none of ours."""
        body = {"metadata": {"uid": pod.uid, "finalizers": list(pod.other_finalizers) or None}}
        try:
            async with self.bucket.request():
                patched = await self.services.client.merge_patch(
                    PODS, body, name=pod.name, namespace=pod.namespace, brief=True
                )
        except (NotFound, Conflict):
            return
        metadata = patched["metadata"]
        released = replace(
            pod,
            held=False,
            resource_version=metadata["resourceVersion"],
            deletion_at=parse_time(metadata.get("deletionTimestamp")),
        )
        self.services.assume_pod(released)


def _blob_cache(cache: BlobCacheConfig | None) -> BlobCache | None:
    return None if cache is None else BlobCache(cache.path, int(in_bytes(cache.size_limit)))
