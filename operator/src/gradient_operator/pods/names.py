"""Deterministic names: one run, job and attempt always give the same Pod, so none runs twice."""

import base64
import hashlib
import re
from typing import Final

LABEL_LIMIT: Final = 63
_PART: Final = 20
_INVALID: Final = re.compile(r"[^a-z0-9]+")
_LABEL: Final = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?\Z")
_NOT_IN_LABEL: Final = re.compile(r"[^-A-Za-z0-9_.]+")


def short_hash(*parts: str) -> str:
    """Eight characters of base32 (40 bits) over the parts."""
    digest = hashlib.sha256("|".join(parts).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:8]


def pod_name(*, workflow: str, job: str, attempt: int, run_uid: str) -> str:
    """`<workflow>-<job>-<attempt>-<hash>`, at most 63 characters (a hostname, a label value).

    The run's UID is in the hash: a run deleted and made again never meets leftovers.
    """
    parts = [_INVALID.sub("-", part.lower())[:_PART].strip("-") for part in (workflow, job)]
    head = "-".join(part for part in parts if part) or "job"
    return f"{head}-{attempt}-{short_hash(run_uid, job, str(attempt))}"


def run_name(*, workflow: str, workflow_uid: str, spec_hash: str, trigger: str, last: str) -> str:
    """The name of the run that a trigger starts now; `last` is the run that it started before.

    After a crash between creating the run and recording it the same name comes out again.
    """
    suffix = short_hash(workflow_uid, spec_hash, trigger, last)
    return f"{workflow[: LABEL_LIMIT - 9].rstrip('-.')}-{suffix}"


def label_value(name: str) -> str:
    """The name, or where it can be no label what is left of its beginning, and a hash."""
    if len(name) <= LABEL_LIMIT and _LABEL.match(name):
        return name
    head = _NOT_IN_LABEL.sub("-", name)[: LABEL_LIMIT - 9].strip("-._")
    return f"{head}-{short_hash(name)}".lstrip("-")
