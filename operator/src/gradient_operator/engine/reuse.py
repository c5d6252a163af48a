"""Whether a job's result can be that of an earlier run: `policy.reuse`, off unless asked for.

Two executions are the same if their keys are: a hash over what the job does, its image, its machine
type, and the content of its inputs. A job whose content cannot be told beforehand has no key: one
that uses volumes, downloads from a bucket, checks out a branch, or has an image named by a tag
(unless `policy.reuseImageTags` says that a tag's text is enough).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from gradient_operator.api.workflow import Policy
from gradient_operator.engine.actions import FindResult
from gradient_operator.engine.model import Found, JobPhase, JobRecord
from gradient_operator.engine.step import Step
from gradient_operator.engine.volumes import volume_keys
from gradient_operator.workflow.model import (
    Action,
    CompiledJob,
    DatasetInput,
    OutputInput,
    StringInput,
)

REUSED: Final = "Reused"
"""The reason of a job whose result is that of an earlier run."""
_FORMAT: Final = 1
"""Part of every key: another format means other keys."""
_PINNED: Final = re.compile(r"@sha256:[0-9a-f]{64}$")
_COMMIT: Final = re.compile(r"^[0-9a-f]{40}$")


def wanted(policy: Policy, job: CompiledJob) -> bool:
    """Whether the policy allows the job's result to be reused."""
    own = policy.jobs.get(job.base or job.name)
    return policy.reuse if own is None or own.reuse is None else own.reuse


def key_of(
    job: CompiledJob,
    *,
    policy: Policy,
    default_image: str,
    pinned: Mapping[str, str],
    ledger: Mapping[str, JobRecord],
) -> str | None:
    """The key of an execution, 32 hexadecimal digits; None: it has none.

    `pinned` holds the digests of dataset inputs by their references.
    """
    image = job.image or default_image
    if not _determined(job) or not (policy.reuse_image_tags or _is_pinned(job, image)):
        return None
    inputs = _inputs(job, pinned, ledger)
    if inputs is None:
        return None
    told = {
        "format": _FORMAT,
        "action": job.action.value,
        "image": image,
        "command": job.command,
        "args": job.args,
        "checkout": None if job.checkout is None else asdict(job.checkout),
        "env": sorted((item.name, item.value, item.secret_key) for item in job.env),
        "machine": job.instance_type,
        "secret": policy.secret_name,
        "provider": policy.datasets.provider,
        "inputs": inputs,
        "outputs": sorted(
            (item.name, item.type, None if item.dataset is None else str(item.dataset))
            for item in job.outputs
        ),
    }
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _determined(job: CompiledJob) -> bool:
    """Whether what the job does follows from its text and its inputs."""
    if job.action is Action.GIT_CHECKOUT:
        ref = job.checkout.ref if job.checkout is not None else None
        return bool(_COMMIT.match(ref or "")) and not volume_keys(job)
    return job.action in {Action.CONTAINER, Action.SCRIPT} and not volume_keys(job)


def _is_pinned(job: CompiledJob, image: str) -> bool:
    return job.action is Action.GIT_CHECKOUT or bool(_PINNED.search(image))


def _inputs(
    job: CompiledJob, pinned: Mapping[str, str], ledger: Mapping[str, JobRecord]
) -> dict[str, Any] | None:
    """What tells the content of each input; None: that of one is not known."""
    found: dict[str, Any] = {}
    for item in job.inputs:
        if isinstance(item, StringInput):
            found[item.name] = ["string", item.value]
        elif isinstance(item, DatasetInput):
            found[item.name] = ["dataset", pinned.get(str(item.reference))]
        elif isinstance(item, OutputInput):
            made = ledger.get(item.job, JobRecord()).outputs.get(item.output)
            if made is None:
                found[item.name] = ["none"]
            elif made.digest is None and made.value is None:
                return None  # a long string: its text stands in object storage only
            else:
                found[item.name] = [item.type, made.digest or made.value]
        else:
            return None
    return found


def look(step: Step, job: CompiledJob, record: JobRecord) -> tuple[JobRecord, bool]:
    """The record of a job that is ready for its first attempt, and whether that is to be made.

    Once nothing was found the record carries the key, so that its result can be found later.
    """
    seen = step.seen
    if record.attempt or record.key is not None or not wanted(seen.policy, job):
        return record, True
    key = key_of(
        job,
        policy=seen.policy,
        default_image=seen.default_image,
        pinned=seen.input_digests,
        ledger=step.ledger,
    )
    if key is None:
        return record, True
    if job.name not in seen.found:
        step.actions.append(FindResult(job.name, key))
        return record, False
    found = seen.found[job.name]
    if found is None:
        return replace(record, key=key), True
    return _reused(step, job, record, key=key, found=found), False


def _reused(
    step: Step, job: CompiledJob, record: JobRecord, *, key: str, found: Found
) -> JobRecord:
    image = job.image or step.seen.default_image
    tag = "" if _is_pinned(job, image) else f" (image {image} by its tag: it may have moved since)"
    return replace(
        record,
        phase=JobPhase.SUCCEEDED,
        key=key,
        source=found.source,
        reason=REUSED,
        message=f"reused from {found.source}: same spec, image and inputs{tag}",
        outputs=found.outputs,
    )
