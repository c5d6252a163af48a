"""The ledger in a run's status: job records to and from JSON, within bounds.

A thousand jobs must fit into one object (etcd takes 1.5 MiB with the spec), so that what is empty
is left out and messages are cut.
"""

from collections.abc import Mapping
from typing import Any, Final

from gradient_operator.api.times import format_time, parse_time
from gradient_operator.engine.model import (
    JobPhase,
    JobRecord,
    OutputRecord,
    VolumeRecord,
)
from gradient_operator.engine.suspension import Suspension

WAIT_MESSAGE_LIMIT: Final = 240
"""Characters of a message about a wait; a thousand jobs may wait at once."""
FAILURE_MESSAGE_LIMIT: Final = 1_024
_FAILURES_IN_FULL: Final = 20
"""Failed jobs whose messages are kept in full."""
_WAITS_IN_FULL: Final = 100
_FURTHER_LIMIT: Final = 160
"""Characters of the messages of all others; mostly they say the same."""


Dumped = dict[str, tuple[JobRecord, int, dict[str, Any]]]
"""By job: the record, the limit of its message, and what became of them."""


def dump_jobs(
    ledger: Mapping[str, JobRecord], dumped: Dumped | None = None
) -> dict[str, dict[str, Any]]:
    """The field `status.jobs`; what is in `dumped` already is taken from there, and added to it."""
    known = {} if dumped is None else dumped
    failed = [name for name, record in ledger.items() if record.phase is JobPhase.FAILED]
    limits = dict.fromkeys(failed[:_FAILURES_IN_FULL], FAILURE_MESSAGE_LIMIT)
    waiting = [name for name, record in ledger.items() if record.message and name not in limits]
    limits |= dict.fromkeys(waiting[:_WAITS_IN_FULL], WAIT_MESSAGE_LIMIT)
    found = {}
    for name, record in ledger.items():
        limit = limits.get(name, _FURTHER_LIMIT)
        before = known.get(name)
        if before is None or before[0] is not record or before[1] != limit:
            before = known[name] = record, limit, dump_job(record, limit=limit)
        found[name] = before[2]
    return found


def dump_job(record: JobRecord, *, limit: int) -> dict[str, Any]:
    """One job; absent fields mean zero or none."""
    fields: dict[str, Any] = {
        "attempt": record.attempt or None,
        "userFailures": record.user_failures or None,
        "infraFailures": record.infra_failures or None,
        "memoryFailures": record.memory_failures or None,
        "memory": record.memory,
        "pod": record.pod,
        "podUID": None if record.phase.final else record.pod_uid,
        "node": record.node,
        "readyAt": format_time(record.ready_at),
        "startedAt": format_time(record.started_at),
        "finishedAt": format_time(record.finished_at),
        "retryAt": format_time(record.retry_at),
        "reason": record.reason,
        "message": cut(record.message, limit),
        "exitCode": record.exit_code,
        "outputs": {name: _dump_output(output) for name, output in record.outputs.items()} or None,
        "source": record.source,
        "key": record.key,
    }
    present = {key: value for key, value in fields.items() if value is not None}
    return {"phase": record.phase.value, **present}


def _dump_output(output: OutputRecord) -> dict[str, Any]:
    if output.digest is None:
        return {"ref": output.ref} if output.value is None else {"value": output.value}
    found = {"digest": output.digest, "bytes": output.bytes, "files": output.files}
    return found if output.version is None else {"version": output.version, **found}


def cut(text: str | None, limit: int) -> str | None:
    """The text within the limit.

    Of a long one the beginning is kept and, where there is room for a log, mostly its end.
    """
    if text is None or len(text) <= limit:
        return text
    head = limit // 4 if limit > WAIT_MESSAGE_LIMIT else limit * 3 // 4
    return f"{text[:head]} … {text[-(limit - head - 3) :]}"


def load_jobs(status: Mapping[str, Any]) -> dict[str, JobRecord]:
    """The ledger out of a status."""
    return {name: _load_job(data) for name, data in status.get("jobs", {}).items()}


def _load_job(data: Mapping[str, Any]) -> JobRecord:
    return JobRecord(
        phase=JobPhase(data.get("phase", "Pending")),
        attempt=data.get("attempt", 0),
        user_failures=data.get("userFailures", 0),
        infra_failures=data.get("infraFailures", 0),
        memory_failures=data.get("memoryFailures", 0),
        memory=data.get("memory"),
        pod=data.get("pod"),
        pod_uid=data.get("podUID"),
        node=data.get("node"),
        ready_at=parse_time(data.get("readyAt")),
        started_at=parse_time(data.get("startedAt")),
        finished_at=parse_time(data.get("finishedAt")),
        retry_at=parse_time(data.get("retryAt")),
        reason=data.get("reason"),
        message=data.get("message"),
        exit_code=data.get("exitCode"),
        outputs={name: OutputRecord(**value) for name, value in data.get("outputs", {}).items()},
        source=data.get("source"),
        key=data.get("key"),
    )


def dump_volumes(volumes: Mapping[str, VolumeRecord]) -> dict[str, dict[str, Any]]:
    """The field `status.volumes`."""
    return {
        key: {
            "mode": record.mode,
            "reason": record.reason,
            **({"claim": record.claim} if record.claim else {}),
            **({"folder": record.folder} if record.folder else {}),
        }
        for key, record in volumes.items()
    }


def dump_suspension(suspension: Suspension) -> dict[str, Any]:
    """The fields `status.suspendedSince` and `suspendedSeconds`, where there is something."""
    fields = {
        "suspendedSince": format_time(suspension.since),
        "suspendedSeconds": round(suspension.seconds) or None,
    }
    return {key: value for key, value in fields.items() if value is not None}


def load_suspension(status: Mapping[str, Any]) -> Suspension:
    """Both out of a status."""
    since = parse_time(status.get("suspendedSince"))
    return Suspension(since, float(status.get("suspendedSeconds", 0)))


def load_volumes(status: Mapping[str, Any]) -> dict[str, VolumeRecord]:
    """The volumes out of a status."""
    return {
        key: VolumeRecord(
            data["mode"], data.get("reason", ""), data.get("claim"), data.get("folder")
        )
        for key, data in status.get("volumes", {}).items()
    }
