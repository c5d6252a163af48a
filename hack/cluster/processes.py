"""Start programs that outlive us, find them again, and stop them without ever hitting another.

A process id alone says nothing: ids are reused. So a program counts as ours only while its id, the
time it started and its whole command line are those that were recorded, and signals go through a
pidfd that was opened before that was checked. The record of the command is written before the
start, and the program's id by the program itself before it becomes what it is to be, so that no
kill of ours, at whatever moment, leaves a program behind that nobody knows.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cache import write_atomically
from hack.commands import SYSTEM_FOLDERS
from hack.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# $0 is the file for the id. `cat` is a child, but /proc/$$ is the shell that turns into the
# program.
START_SCRIPT = 'cat "/proc/$$/stat" >"$0.new" && mv "$0.new" "$0" && exec "$@"'
START_TIME_FIELD = 21
STATE_FIELD = 2
APPEAR_SECONDS = 5.0
LAST_LOG_LINES = 15


@dataclass(frozen=True, slots=True)
class Component:
    """A program to be kept running: its name here, its command, and what it gets besides PATH."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one process from every other one that has or had the same id."""

    pid: int
    start_time: int


def parse_stat(text: str) -> tuple[Identity, str]:
    """The identity and the state letter in a line of /proc/<pid>/stat.

    The second field is the program's name in brackets and may hold spaces and brackets itself.
    """
    pid, _, rest = text.partition(" (")
    fields = rest.rpartition(") ")[2].split()
    offset = 2
    return Identity(int(pid), int(fields[START_TIME_FIELD - offset])), fields[STATE_FIELD - offset]


def read_identity(pid: int, *, proc: Path = Path("/proc")) -> Identity | None:
    """Who has the id `pid` now; nobody if there is no such process or it is a zombie."""
    try:
        identity, state = parse_stat((proc / str(pid) / "stat").read_text())
    except (OSError, ValueError, IndexError):
        return None
    return None if state in {"Z", "X"} else identity


def read_command(pid: int, *, proc: Path = Path("/proc")) -> tuple[str, ...]:
    """The whole command line of the process `pid`."""
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return ()
    return tuple(os.fsdecode(word) for word in words)


def boot_id(*, proc: Path = Path("/proc")) -> str:
    """What the kernel calls this boot: start times are counted from it."""
    return (proc / "sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True, slots=True)
class ProcessTable:
    """The programs of one cluster, recorded in a folder."""

    folder: Path
    logs: Path
    proc: Path = Path("/proc")

    def names(self) -> list[str]:
        """Every program that was ever started and not stopped since."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def running(self, name: str) -> Identity | None:
        """The process of the program `name`, if it is the one that was started."""
        try:
            record = json.loads((self.folder / f"{name}.json").read_text())
            recorded, _ = parse_stat((self.folder / f"{name}.stat").read_text())
        except (OSError, ValueError, IndexError):
            return None
        if record.get("boot") != boot_id(proc=self.proc):
            return None
        now = read_identity(recorded.pid, proc=self.proc)
        if now != recorded:
            return None
        command = read_command(recorded.pid, proc=self.proc)
        return recorded if command == tuple(record.get("command", ())) else None

    def start(self, component: Component) -> bool:
        """Start `component` if it does not run; whether it had to be started."""
        if self.running(component.name):
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        stat = self.folder / f"{component.name}.stat"
        stat.unlink(missing_ok=True)
        record = {"command": list(component.command), "boot": boot_id(proc=self.proc)}
        write_atomically(self.folder / f"{component.name}.json", json.dumps(record))
        # Nothing of the caller's environment: a proxy setting there would catch the cluster's own
        # calls.
        variables = {"PATH": ":".join(SYSTEM_FOLDERS), "HOME": str(self.folder.parent)}
        with (self.logs / f"{component.name}.log").open("ab") as log:
            # setsid forks, so that the program is nobody's child and no zombie when it ends.
            subprocess.run(
                [
                    *("setsid", "--fork", "/bin/sh", "-c", START_SCRIPT, str(stat)),
                    *component.command,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**variables, **component.environment},
                cwd="/",
                check=True,
            )
        deadline = time.monotonic() + APPEAR_SECONDS
        while not self.running(component.name):
            if self.has_ended(component.name) or time.monotonic() > deadline:
                raise SetupError(self.obituary(component.name))
            time.sleep(0.01)
        return True

    def has_ended(self, name: str) -> bool:
        """Whether the program `name` wrote down its id and is no more."""
        try:
            recorded, _ = parse_stat((self.folder / f"{name}.stat").read_text())
        except (OSError, ValueError, IndexError):
            return False
        return read_identity(recorded.pid, proc=self.proc) != recorded

    def require(self, name: str) -> None:
        """Raise with the end of its log if the program `name` has ended."""
        if not self.running(name):
            raise SetupError(self.obituary(name))

    def obituary(self, name: str) -> str:
        """One sentence and the last lines that the program `name` wrote."""
        log = self.logs / f"{name}.log"
        try:
            last = log.read_text(errors="replace").splitlines()[-LAST_LOG_LINES:]
        except OSError:
            last = []
        return "\n  ".join([f"{name} ended; the last lines of {log}:", *last])

    def stop(self, names: Iterable[str], *, grace: float) -> None:
        """End the programs `names`: SIGTERM, and SIGKILL for what is left after `grace` seconds."""
        found = {name: self.running(name) for name in names}
        stop_identities([one for one in found.values() if one], grace=grace, proc=self.proc)
        for name in found:
            (self.folder / f"{name}.stat").unlink(missing_ok=True)
            (self.folder / f"{name}.json").unlink(missing_ok=True)


def open_process(identity: Identity, *, proc: Path = Path("/proc")) -> int | None:
    """A file descriptor for exactly this process, or nothing if it has ended.

    The order matters: once the descriptor is open it can only mean the process that had the id at
    that moment, and that this one has the right start time is checked afterwards.
    """
    try:
        handle = os.pidfd_open(identity.pid)
    except OSError:
        return None
    if read_identity(identity.pid, proc=proc) != identity:
        os.close(handle)
        return None
    return handle


def stop_identities(
    identities: Iterable[Identity], *, grace: float, proc: Path = Path("/proc")
) -> None:
    """End all these processes at the same time and wait until they are gone."""
    handles = [handle for one in identities if (handle := open_process(one, proc=proc)) is not None]
    try:
        for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
            if number == signal.SIGTERM and grace <= 0:
                continue
            for handle in handles:
                send(handle, number)
            handles = wait_for_ends(handles, seconds=seconds)
    finally:
        for handle in handles:
            os.close(handle)


def send(handle: int, number: signal.Signals) -> None:
    """Send a signal; a process that has just ended is what we want."""
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return


def wait_for_ends(handles: list[int], *, seconds: float) -> list[int]:
    """Wait until the processes have ended; closes their descriptors and returns the others."""
    poller = select.poll()
    waiting = set(handles)
    for handle in waiting:
        poller.register(handle, select.POLLIN)
    deadline = time.monotonic() + seconds
    while waiting and (left := deadline - time.monotonic()) > 0:
        for handle, _ in poller.poll(left * 1000):
            poller.unregister(handle)
            waiting.discard(handle)
            os.close(handle)
    return sorted(waiting)
