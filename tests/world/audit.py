"""Watches every write that takes effect, and remembers what must never happen."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.world.nodes import Attempt, Nodes, attempt_of, run_uid
from tests.world.server import Item, Server, Write

FINAL_RUN = ("Succeeded", "Failed", "Cancelled")
FINAL_JOB = (*FINAL_RUN, "Omitted", "Skipped")
NOT_FENCED = ("leases", "events")
PEOPLE = ("somebody", "kubelet", "garbage collector")


@dataclass(eq=False)
class Audit:
    """`violations` says in sentences what happened that must not."""

    server: Server
    nodes: Nodes
    clock: Callable[[], float]
    created: list[Attempt] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    ends: list[BaseException] = field(default_factory=list)

    _known: set[tuple[str, str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.server.auditors.append(self._look)

    def _look(self, write: Write) -> None:
        before, after = write.before, write.after
        if write.by not in PEOPLE:
            self._led(write)
        if write.address.plural == "pods" and before is None and after is not None:
            self._made(after)
        if write.address.plural == "gradientruns" and before is not None and after is not None:
            self._told(before, after)

    def _led(self, write: Write) -> None:
        if write.address.plural in NOT_FENCED:
            return
        lease = self.server.objects.get(("leases", "op", "gradient-operator"))
        holder = lease["spec"]["holderIdentity"] if lease else None
        if holder != write.by:
            self._wrong(f"{write.by} wrote {write.address} while {holder} held the lease")

    def _made(self, pod: Item) -> None:
        attempt = run, job, number = attempt_of(pod)
        uid = run_uid(pod)
        self.created.append(attempt)
        if (uid, job, number) in self._known:
            self._wrong(f"{attempt} was made twice")
        self._known.add((uid, job, number))
        for other in self.server.all("pods"):
            same = run_uid(other) == uid and attempt_of(other)[1] == job and other is not pod
            if same and other["status"]["phase"] not in ("Succeeded", "Failed"):
                self._wrong(f"{attempt} was made while {attempt_of(other)} lives")
        if (uid, job) in self.nodes.succeeded:
            self._wrong(f"{attempt} was made, and {job} has succeeded before")
        owner = self.server.objects.get(("gradientruns", pod["metadata"]["namespace"], run))
        if owner is not None and owner["metadata"]["uid"] == uid:
            self._in_time(attempt, uid, owner)

    def _in_time(self, attempt: Attempt, uid: str, run: Item) -> None:
        """A Pod comes after its needs, and before the end of its run."""
        jobs, job = run["spec"]["definition"]["jobs"], attempt[1]
        if run.get("status", {}).get("phase") in FINAL_RUN:
            self._wrong(f"{attempt} was made after the end of its run")
        for need in jobs[job].get("needs", ()):
            if jobs[need].get("uses") != "create-model@v1" and (
                (uid, need) not in self.nodes.succeeded
            ):
                self._wrong(f"{attempt} was made before {need} had succeeded")

    def _told(self, before: Item, after: Item) -> None:
        old, new = before.get("status", {}), after.get("status", {})
        name = after["metadata"]["name"]
        if old.get("phase") in FINAL_RUN and new.get("phase") != old["phase"]:
            self._wrong(f"run {name} was {old['phase']} and became {new.get('phase')}")
        for job, record in old.get("jobs", {}).items():
            now = new.get("jobs", {}).get(job, {})
            if record.get("phase") in FINAL_JOB and now.get("phase") != record["phase"]:
                self._wrong(f"job {name}/{job} was {record['phase']} and became {now}")
            if now.get("attempt", 0) < record.get("attempt", 0):
                self._wrong(f"job {name}/{job} went back to {now}")

    def _wrong(self, sentence: str) -> None:
        self.violations.append(f"{self.clock():.3f} s: {sentence}")
