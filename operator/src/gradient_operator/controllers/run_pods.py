"""Makes the Pods of a run's jobs, and what they mount; idempotent, as an attempt names its Pod."""

import time
from dataclasses import dataclass, field
from typing import Any

from gradient_operator.config import BlobCache as BlobCacheConfig
from gradient_operator.controllers import inputs, run_claims
from gradient_operator.controllers.records import project_pod
from gradient_operator.controllers.run_state import RunState
from gradient_operator.controllers.services import Services
from gradient_operator.controllers.storage import SecretHandout
from gradient_operator.engine.memory import in_bytes, larger
from gradient_operator.engine.model import PodRecord
from gradient_operator.engine.volumes import placed
from gradient_operator.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid
from gradient_operator.kube.limits import TokenBucket
from gradient_operator.kube.resources import PODS
from gradient_operator.pods.build import build_pod
from gradient_operator.pods.request import BlobCache, PodRequest, Settings
from gradient_operator.workflow.model import CompiledJob


@dataclass(slots=True)
class PodMaker:
    """Turns a job's attempt into a Pod."""

    services: Services
    bucket: TokenBucket
    handout: SecretHandout | None
    _making: set[tuple[str, str]] = field(default_factory=set)

    def makes(self, pod: PodRecord | None) -> bool:
        """Whether a look is making this Pod, not answered yet, and will plan with it."""
        return pod is not None and (pod.namespace, pod.name) in self._making

    async def make(self, state: RunState, job: CompiledJob, attempt: int) -> None:
        """Create the Pod of an attempt, or take the one over that an earlier try made.

        Raises:
            KubeError: it was not made; try again later. What a person has to do is in
                `state.problems`.
        """
        body = build_pod(self._request(state, job, attempt))
        place = state.identity.namespace, body["metadata"]["name"]
        self._making.add(place)
        try:
            await self._create(state, job, attempt, body)
        finally:
            self._making.discard(place)

    async def _create(
        self, state: RunState, job: CompiledJob, attempt: int, body: dict[str, Any]
    ) -> None:
        try:
            await self._prepare(state, job, helped="initContainers" in body["spec"])
            async with self.bucket.request():
                waited = time.monotonic() - state.noticed_at
                self.services.metrics.reaction_seconds.observe(waited)
                created = await self.services.client.create(PODS, body, brief=True)
        except AlreadyExists:
            await self._adopt(state, job, body["metadata"]["name"])
            return
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

    async def _adopt(self, state: RunState, job: CompiledJob, name: str) -> None:
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


def _blob_cache(cache: BlobCacheConfig | None) -> BlobCache | None:
    return None if cache is None else BlobCache(cache.path, int(in_bytes(cache.size_limit)))
