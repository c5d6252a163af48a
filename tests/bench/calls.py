"""The operator's requests to the API server, sorted into the few rows that a table has room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench.model import BenchError, Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMED: Final = {
    ("create", "pods"): "create Pod",
    ("patch", "gradientruns"): "patch the run's status",
    ("patch", "pods"): "take the finalizer off",
    ("create", "events"): "create Event",
}


def rows(title: str, *, digits: int) -> tuple[Figure, ...]:
    """The rows of a table that `figures` fills."""
    named = [Figure(_key(*call), f"{title}: {label}", "", digits) for call, label in _NAMED.items()]
    return (
        *named,
        Figure("call other", f"{title}: other", "", digits),
        Figure("call all", f"{title}: all", "", digits),
        Figure("call no events", f"{title}: all without Events", "", digits),
    )


def figures(calls: Mapping[tuple[str, str], int], *, per: int = 1) -> dict[str, float]:
    """Requests for each of `per` runs."""
    total = sum(calls.values())
    named = {_key(*call): calls.get(call, 0) for call in _NAMED}
    sums = {
        **named,
        "call other": total - sum(named.values()),
        "call all": total,
        "call no events": total - calls.get(("create", "events"), 0),
    }
    return {key: value / per for key, value in sums.items()}


def counts(calls: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Every request by verb and resource."""
    return {_key(*call): count for call, count in sorted(calls.items())}


def require(counted: Mapping[str, int], *, expected: int) -> None:
    """The operator must have sent exactly one Pod for each job.

    Raises:
        BenchError: it sent more (twice the same), or fewer (somebody else did its work).
    """
    created = counted.get(_key("create", "pods"), 0)
    if created != expected:
        raise BenchError(f"the operator sent {created} Pods for {expected} jobs")


def _key(verb: str, resource: str) -> str:
    return f"call {verb} {resource}"
