"""What the machine is, how busy it is, and what one process has used of it; reads /proc (Linux)."""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
CALM_SHARE: Final = 0.25
"""Below this share of busy processors the cluster is as quiet as it gets between two loads."""
_WINDOW: Final = 0.25
_LOOK_SECONDS: Final = 2.0
_PROC: Final = Path("/proc")
_MIB: Final = 1024.0


@dataclass(frozen=True, slots=True)
class Machine:
    """What figures depend on."""

    cores: int
    processor: str
    memory_gib: float
    kernel: str
    python: str
    commit: str
    load_average: float
    """Of the minute before the bench began."""

    @property
    def busy(self) -> bool:
        """Whether others kept all processors busy, so that the figures mean little."""
        return self.load_average > self.cores

    def dump(self) -> dict[str, object]:
        """For JSON."""
        return {**asdict(self), "busy": self.busy}


def describe() -> Machine:
    """This machine and this checkout, now."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=_field(_PROC / "cpuinfo", "model name") or platform.machine(),
        memory_gib=round(_kibibytes(_PROC / "meminfo", "MemTotal") / _MIB / _MIB, 1),
        kernel=platform.release(),
        python=platform.python_version(),
        commit=_commit(),
        load_average=os.getloadavg()[0],
    )


def wait_until_quiet(limit: float = 180.0) -> None:
    """Wait, `limit` seconds at most, until no more than half of the processors had work.

    The average is over a minute: without this, one bench would count as the next one's neighbour.
    """
    until = time.monotonic() + limit
    while os.getloadavg()[0] > len(os.sched_getaffinity(0)) / 2 and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)


def _commit() -> str:
    """The commit of this checkout; says so when the operator's code differs from it."""
    hash_ = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--", "operator/src")
    return f"{hash_ or 'unknown'}{' with uncommitted changes' if changed else ''}"


def _git(*words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", ROOT, *words], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def _field(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _kibibytes(path: Path, name: str) -> float:
    return float(_field(path, name).split()[0])


def _ticks() -> tuple[int, int]:
    """Ticks of all processors since the start: all, and those in which nothing was done."""
    fields = (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]
    numbers = [int(field) for field in fields]
    return sum(numbers), numbers[3] + numbers[4]


async def busy_share(seconds: float = _WINDOW) -> float:
    """The share (0 to 1) of the machine's processors that is busy during so many seconds."""
    all_before, idle_before = _ticks()
    await asyncio.sleep(seconds)
    all_after, idle_after = _ticks()
    passed = max(all_after - all_before, 1)
    return 1 - (idle_after - idle_before) / passed


async def calm(limit: float = 5.0) -> float:
    """Wait until the machine is quiet, `limit` seconds at most; the share that is busy then.

    What the cluster still does for the load before must not be charged to the next one. What is
    left after the limit are other programs.
    """
    until = time.monotonic() + limit
    share = await busy_share()
    while share > CALM_SHARE and time.monotonic() < until:
        share = await busy_share()
    return share


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far."""

    cpu_seconds: float
    resident_mib: float
    peak_mib: float


def usage(pid: int) -> Usage:
    """Read it from /proc.

    Raises:
        FileNotFoundError: the process has ended.
    """
    folder = _PROC / str(pid)
    # The name in parentheses may hold spaces; the fields after it are numbered from 3.
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return Usage(
        cpu_seconds=ticks / os.sysconf("SC_CLK_TCK"),
        resident_mib=_kibibytes(folder / "status", "VmRSS") / _MIB,
        peak_mib=_kibibytes(folder / "status", "VmHWM") / _MIB,
    )
