"""The graph of `needs`: an order to run in, or the cycle that forbids one."""

from collections import deque
from collections.abc import Mapping, Sequence


def order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Every job after all its needs, otherwise in the order of the file (Kahn's algorithm).

    Jobs on a cycle, and those behind one, are left out; `find_cycle` names one.
    """
    missing = {job: len(set(of)) for job, of in needs.items()}
    dependents: dict[str, list[str]] = {job: [] for job in needs}
    for job, of in needs.items():
        for need in set(of):
            dependents[need].append(job)
    ready = deque(job for job, count in missing.items() if count == 0)
    done: list[str] = []
    while ready:
        job = ready.popleft()
        done.append(job)
        for dependent in dependents[job]:
            missing[dependent] -= 1
            if missing[dependent] == 0:
                ready.append(dependent)
    return done


def find_cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """One cycle as the jobs on it, each needing the next; empty when there is none."""
    settled = set(order(needs))
    left = {
        job: [need for need in of if need not in settled]
        for job, of in needs.items()
        if job not in settled
    }
    if not left:
        return []
    # Every job that is left needs another one that is left, so that walking on must come back.
    seen: dict[str, int] = {}
    path: list[str] = []
    job = next(iter(left))
    while job not in seen:
        seen[job] = len(path)
        path.append(job)
        job = left[job][0]
    return path[seen[job] :]


def ancestors(needs: Mapping[str, Sequence[str]], job: str) -> set[str]:
    """All jobs that come before this one, directly or through others."""
    found: set[str] = set()
    waiting = list(needs.get(job, ()))
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting.extend(needs.get(other, ()))
    return found
