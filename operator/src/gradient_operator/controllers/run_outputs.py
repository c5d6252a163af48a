"""Records what the jobs of a run made: dataset versions, long results, models."""

import logging
from dataclasses import dataclass

from gradient_operator.controllers import results
from gradient_operator.controllers.commit import (
    Source,
    commit_version,
    input_versions,
    model_version,
    register_model,
)
from gradient_operator.controllers.pinning import StartRefused
from gradient_operator.controllers.run_state import RunState
from gradient_operator.controllers.services import Services
from gradient_operator.controllers.storage import DefaultStore
from gradient_operator.dataset_versions import CommitRefused
from gradient_operator.datasets.errors import BlobMissingError, DatasetError, ResultError
from gradient_operator.engine.actions import CommitOutputs
from gradient_operator.engine.model import UploadResult
from gradient_operator.kube.errors import Forbidden, Invalid, KubeError
from gradient_operator.workflow.model import CompiledJob

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutputRecorder:
    """Turns what an uploader told into objects, and into what the next plan is made of.

    `store` is the bucket of the operator's own provider, if it has one.
    """

    services: Services
    store: DefaultStore | None

    async def abort(self, state: RunState, pod_uid: str) -> None:
        """Tell an uploader that nobody wants its upload any more.

        Raises:
            KubeError: the storage is away; try again.
        """
        if self.store is not None and state.provider is None and pod_uid not in state.aborted:
            try:
                await self.store.abort(pod_uid)
            except DatasetError as error:
                # Storage that is away comes back, and with it the upload: it is told then.
                raise KubeError(f"cannot tell an uploader to stop: {error}") from error
            state.aborted.add(pod_uid)

    async def commit(self, state: RunState, action: CommitOutputs) -> None:
        """Make the dataset versions that an attempt uploaded; a refusal is the attempt's result.

        Raises:
            KubeError: one of them was not made; try again.
        """
        job = state.workflow.jobs[action.job]
        source = self._source(state, job, pod_uid=action.pod_uid)
        for name, record in action.outputs.items():
            output = job.output(name)
            if output is None or output.dataset is None:
                continue
            try:
                await commit_version(
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
                return
        state.committed.add(action.pod_uid)

    async def read_result(self, state: RunState, job: str, pod_uid: str) -> None:
        """The message was too small for the outputs: read them where they stand in full.

        Raises:
            KubeError: the storage is away; try again.
        """
        reference = f"runs/{pod_uid}/result.json"
        if self.store is None or state.provider is not None:
            state.results[pod_uid] = UploadResult(
                error=f"job {job} has more outputs than fit into a Pod's message, and the operator "
                "may not read the bucket of a namespace's own provider: split the job",
                reason="ResultTooLarge",
                refused=True,
            )
            return
        try:
            full = await self.store.read_result(reference)
        except (ResultError, BlobMissingError) as error:
            state.results[pod_uid] = UploadResult(error=str(error), unreadable=True)
            return
        except DatasetError as error:
            logger.warning("cannot read %s: %s", reference, error)
            raise KubeError(str(error)) from error
        state.results[pod_uid] = results.of_full(full, reference)

    async def register(self, state: RunState, job: CompiledJob) -> bool:
        """Register the model that a job names, of the version that it was given.

        Answers whether it is done; if not, `state.problems` has what a person has to do.

        Raises:
            KubeError: it was not registered; try again later.
        """
        try:
            version = model_version(
                job,
                namespace=state.identity.namespace,
                ledger=state.ledger,
                pinned=state.pinned,
            )
            state.models[job.name] = await register_model(
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

    def _source(self, state: RunState, job: CompiledJob, *, pod_uid: str = "") -> Source:
        run = state.identity
        read = input_versions(
            job, namespace=run.namespace, pinned=state.pinned, ledger=state.ledger
        )
        pods = self.services.pods.of(run.namespace, run.name).values()
        return Source(
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
