"""Carries out what was planned for a run. Every action is idempotent: by name, or by UID."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from gradient_operator.api.times import parse_time
from gradient_operator.controllers import run_claims
from gradient_operator.controllers.run_outputs import OutputRecorder
from gradient_operator.controllers.run_pods import PodMaker
from gradient_operator.controllers.run_state import RunState
from gradient_operator.controllers.services import NotLeading, Services
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
from gradient_operator.engine.model import PodRecord
from gradient_operator.engine.volumes import unused_claims
from gradient_operator.kube.errors import Conflict, NotFound
from gradient_operator.kube.limits import TokenBucket
from gradient_operator.kube.resources import PODS

AT_ONCE: Final = 32
"""Requests of one run that are under way at once."""
PODS_IN_A_TURN: Final = 100
"""So many Pods a look makes while others wait to be looked at; then it is their turn."""


@dataclass(slots=True)
class Applier:
    """Turns actions into requests."""

    services: Services
    bucket: TokenBucket
    pods: PodMaker
    outputs: OutputRecorder

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
                await self.pods.make(state, state.workflow.jobs[job], attempt)
                return True
            case DeletePod():
                await self.delete(state.identity.namespace, action)
                return False
            case AbortUpload(_, pod_uid):
                await self.outputs.abort(state, pod_uid)
                return False
            case CommitOutputs():
                await self.outputs.commit(state, action)
                return True
            case ReadResult(job, pod_uid):
                await self.outputs.read_result(state, job, pod_uid)
                return True
            case FindResult(job, key):
                state.found[job] = await self.services.results.find(
                    self.services.client, namespace=state.identity.namespace, key=key
                )
                return True
            case RegisterModel(job):
                return await self.outputs.register(state, state.workflow.jobs[job])

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
