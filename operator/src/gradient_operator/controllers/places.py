"""Places of the limits of namespaces and machine types: who holds them, who waits, who is next.

There is no lock that could leak: who holds a place is counted from the Pods that exist, who waits
from what the runs' last plans wanted. A place that was given and not used by the end of the run's
next look goes to the next in the line. After a restart nobody is given one before all runs that
come earlier were looked at once. When a place becomes free, exactly the run that gets it is woken.
"""

import bisect
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gradient_operator.config import OperatorConfig
from gradient_operator.engine.model import Places, PodRecord
from gradient_operator.engine.places import Pool, Rank, Wishes, hand_out
from gradient_operator.engine.queueing import MACHINE_LIMIT, NAMESPACE_LIMIT

RunKey = tuple[str, str]
Pools = tuple[Pool, ...]
_HOLDERS_SHOWN: Final = 2


class PlaceKeeper:
    """The places of all limits of the configuration; `wake` asks for a look at a run."""

    def __init__(self, config: OperatorConfig, wake: Callable[[RunKey], None]) -> None:
        self._config = config
        self._wake = wake
        self._held: dict[Pool, Counter[RunKey]] = {}
        """How many Pods of each run hold a place."""
        self._lines: dict[Pools, list[Wishes]] = {}
        self._waits: dict[RunKey, list[Wishes]] = {}
        self._machines: dict[RunKey, dict[str, Pools]] = {}
        self._given: dict[RunKey, dict[str, Pools]] = {}
        self._unseen: set[RunKey] = set()
        self._earliest: deque[tuple[Rank, RunKey]] = deque()

    @property
    def needed(self) -> bool:
        """Whether anything is limited at all."""
        config = self._config
        policies = (config.namespace_policy, *config.namespaces.values())
        limited = any(policy.max_running_jobs is not None for policy in policies)
        return limited or bool(config.machine_type_limits)

    def expect(self, runs: Iterable[tuple[RunKey, Rank]]) -> None:
        """These runs exist at the start: until each was looked at, nobody behind it is served."""
        self._earliest = deque(sorted((rank, run) for run, rank in runs))
        self._unseen = {run for _, run in self._earliest}

    def pod_changed(self, old: PodRecord | None, new: PodRecord | None) -> None:
        """A Pod came, went, or changed; what becomes free goes to the next."""
        pod = new or old
        before, after = _holds(old), _holds(new)
        if pod is None or before is after:
            return
        run = (pod.namespace, pod.run)
        for pool in self._pools(pod.namespace, pod.machine):
            held = self._held.setdefault(pool, Counter())
            held[run] += 1 if after else -1
            if held[run] <= 0:
                del held[run]
        if after:
            self._given.get(run, {}).pop(pod.job, None)
        else:
            self._distribute()

    def ask(self, run: RunKey, rank: Rank, wants: Sequence[tuple[str, str]]) -> None:
        """The jobs of a run, with their machine types, that could start now; in their order."""
        self._leave(run)
        given, named = self._given.setdefault(run, {}), {job for job, _ in wants}
        for job in given.keys() - named:
            del given[job]
        machines = {machine: self._pools(run[0], machine) for _, machine in wants}
        found: dict[Pools, Wishes] = {}
        for order, (job, machine) in enumerate(wants):
            if job not in given:
                pools = machines[machine]
                found.setdefault(pools, Wishes(rank, run, pools, order)).jobs.append(job)
        for pools, wishes in found.items():
            bisect.insort(self._lines.setdefault(pools, []), wishes, key=_rank)
        self._waits[run], self._machines[run] = list(found.values()), machines
        self._unseen.discard(run)
        self._distribute(asking=run)

    def places(self, run: RunKey) -> Places:
        """What a run was given, and what its other jobs wait for, by machine type."""
        waits = self._waits.get(run, ())
        told = {wishes.pools: self._tell(wishes) for wishes in waits if wishes.pools}
        machines = self._machines.get(run, {})
        return Places(
            given=frozenset(self._given.get(run, ())),
            told={machine: told[pools] for machine, pools in machines.items() if pools in told},
        )

    def settle(self, run: RunKey) -> None:
        """A look at the run has ended: what it was given and did not use goes to others."""
        self._let_go(run, waited=False)

    def forget(self, run: RunKey) -> None:
        """The run has ended, or is gone: it waits for nothing, and no place is kept for it."""
        waited = bool(self._waits.get(run))
        self._leave(run)
        self._let_go(run, waited=waited)

    def _let_go(self, run: RunKey, *, waited: bool) -> None:
        unused = self._given.pop(run, None)
        first = run in self._unseen
        self._unseen.discard(run)
        if unused or first or waited:
            self._distribute()

    def position(self, run: RunKey) -> int:
        """The place in the line of the run's first waiting job; 0: none waits."""
        return min((self._ahead(wishes)[0] for wishes in self._waits.get(run, ())), default=0)

    def _distribute(self, asking: RunKey | None = None) -> None:
        while self._earliest and self._earliest[0][1] not in self._unseen:
            self._earliest.popleft()
        until = self._earliest[0][0] if self._earliest else None
        lines = [line for line in self._lines.values() if line]
        if not lines:
            return
        room = {pool: self._room(pool) for pools in self._lines for pool in pools}
        for wishes, count in hand_out(lines, room, until=until):
            run = wishes.run
            self._given.setdefault(run, {}).update(dict.fromkeys(wishes.jobs[:count], wishes.pools))
            del wishes.jobs[:count]
            if not wishes.jobs:
                self._drop(wishes)
            if run != asking:
                self._wake(run)

    def _room(self, pool: Pool) -> int:
        given = sum(pool in pools for jobs in self._given.values() for pools in jobs.values())
        return (self._limit(pool) or 0) - self._held.get(pool, Counter()).total() - given

    def _limit(self, pool: Pool) -> int | None:
        if pool.kind == "machine":
            return self._config.machine_type_limits.get(pool.name)
        return self._config.policy_of(pool.name).max_running_jobs

    def _pools(self, namespace: str, machine: str) -> Pools:
        pools = (Pool("namespace", namespace), Pool("machine", machine))
        return tuple(pool for pool in pools if self._limit(pool) is not None)

    def _leave(self, run: RunKey) -> None:
        for wishes in self._waits.pop(run, ()):
            self._take_out(wishes)
        self._machines.pop(run, None)

    def _drop(self, wishes: Wishes) -> None:
        self._take_out(wishes)
        left = [each for each in self._waits[wishes.run] if each is not wishes]
        self._waits[wishes.run] = left

    def _take_out(self, wishes: Wishes) -> None:
        line = self._lines.get(wishes.pools, [])
        index = bisect.bisect_left(line, wishes.rank, key=_rank)
        if index < len(line) and line[index] is wishes:
            del line[index]
        if not line:
            self._lines.pop(wishes.pools, None)

    def _ahead(self, wishes: Wishes) -> tuple[int, int]:
        """The place of a run's first job in the line, and how many wait there."""
        pool = self._full(wishes)
        lines = [line for pools, line in self._lines.items() if pool is None or pool in pools]
        ahead = sum(len(other.jobs) for line in lines for other in line if other.rank < wishes.rank)
        return ahead + 1, sum(len(other.jobs) for line in lines for other in line)

    def _full(self, wishes: Wishes) -> Pool | None:
        return next((pool for pool in wishes.pools if self._room(pool) <= 0), None)

    def _tell(self, wishes: Wishes) -> tuple[str, str]:
        place, waiting = self._ahead(wishes)
        where = f"number {place} of {waiting} in the line"
        pool = self._full(wishes)
        if pool is None and self._earliest:
            return NAMESPACE_LIMIT, f"waits until earlier runs were looked at; {where}"
        if pool is None:
            # Free places are kept for those in front.
            pool = wishes.pools[0]
        limit, holders = self._limit(pool), self._holders(pool, wishes.run[0])
        if pool.kind == "machine":
            what = f"machine type {pool.name} has {_count(limit)}"
            return MACHINE_LIMIT, f"{what}{holders}; {where}"
        what = f"namespace {pool.name} has {_count(limit)}"
        return NAMESPACE_LIMIT, f"{what}{holders}; {where}"

    def _holders(self, pool: Pool, namespace: str) -> str:
        """Who holds the places, most first; of other namespaces only how many."""
        held = self._held.get(pool, Counter())
        own = Counter({run[1]: count for run, count in held.items() if run[0] == namespace})
        shown = [f"run {name} ({count})" for name, count in own.most_common(_HOLDERS_SHOWN)]
        if len(own) > _HOLDERS_SHOWN:
            shown.append(f"{len(own) - _HOLDERS_SHOWN} more runs")
        others = held.total() - own.total()
        if others:
            shown.append(f"other namespaces ({others})")
        return f", held by {', '.join(shown)}" if shown else ""


def _count(limit: int | None) -> str:
    return "one place" if limit == 1 else f"{limit or 'no'} places"


def _holds(pod: PodRecord | None) -> bool:
    """Whether a Pod takes a place: as long as any of it may run on its node."""
    return pod is not None and not pod.terminal


def _rank(wishes: Wishes) -> Rank:
    return wishes.rank
