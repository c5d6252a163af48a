"""All clients, one tree after another, in rounds: the same server, the same disk, in turns."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench.data.clients import ClientFailed, Measured, Ours, others
from tests.bench.data.limits import NO_LIMITS, Limits, measure_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.bench.data.clients import Other
    from tests.bench.data.trees import Load
    from tests.integration.seaweedfs import S3Server

OURS = "ours"
_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Turn:
    """One client with one tree in one round.

    `again` is a second upload of the unchanged tree as a Pod makes it, which knows the version
    before but no file; `put_again` one from the same directory, as `gradient dataset put` makes it.
    """

    client: str
    up: Measured
    down: Measured
    again: Measured | None = None
    put_again: Measured | None = None


@dataclass(slots=True)
class Found:
    """Everything that was measured with one tree."""

    load: Load
    turns: list[Turn] = field(default_factory=list)
    limits: list[Limits] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def of(self, client: str) -> list[Turn]:
        """The turns of one client."""
        return [turn for turn in self.turns if turn.client == client]


def play(
    found: Found,
    server: S3Server,
    *,
    folder: Path,
    clients: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """One round: the limits, then every client; in reverse order every second round."""
    load, number = found.load, len(found.limits)
    keys = server.write_credentials(folder / "keys")
    source = folder / load.key
    load.make(source)
    if load.ours_only:
        found.limits.append(NO_LIMITS)  # opening a million files would take longer than all else
    else:
        found.limits.append(measure_limits(server, keys, source, load.bytes))
    contestants: list[Ours | Other] = [Ours(server, keys, folder / "cache"), *others(server)]
    taking_part = [item for item in contestants if item.name in clients]
    for client in taking_part[:: -1 if number % 2 else 1]:
        say(f"{load.key}, round {number + 1}: {client.name}")
        try:
            found.turns.append(_turn(client, load, source, f"{load.key}-{number}-{client.name}"))
        except ClientFailed as error:
            found.problems.append(f"{client.name}: {error}")
    _delete(load, source)


def _delete(load: Load, folder: Path) -> None:
    """Make room, if it is one file; many go with the folder of all rounds, after the last.

    ext4 gives no inode away that was deleted within the last minutes: who makes thousands of files
    just after thousands were deleted spends most of its time looking for others.
    """
    if load.count == 1:
        shutil.rmtree(folder, ignore_errors=True)


def _turn(client: Ours | Other, load: Load, source: Path, prefix: str) -> Turn:
    target = source.with_name(f"back-{prefix}")
    again = put_again = None
    try:
        _settle(load, target)
        up = client.up(source, prefix)
        _settle(load, target)
        down = client.down(up.said, target, prefix)
        _compare(load, target)
        if isinstance(client, Ours):
            again = client.again(source, prefix, up.said)
            client.put(source, prefix, up.said)  # remembers what the directory was
            put_again = client.put(source, prefix, up.said)
    finally:
        _delete(load, target)
    return Turn(client.name, up, down, again, put_again)


def _settle(load: Load, target: Path) -> None:
    """Let everybody begin alike: nothing left to write, and as much memory at hand as is needed.

    A virtual machine's host hands memory out when it is first touched, which costs more than a
    transfer, and takes it back: who came second found what the one before had just given back.
    """
    with target.open("wb", buffering=0) as file:
        piece = bytes(_PIECE)
        for _ in range(-(-load.bytes // _PIECE)):
            file.write(piece)
    os.sync()
    target.unlink()


def _compare(load: Load, target: Path) -> None:
    """Everything came back: the number of files and their bytes (ours has checked the digests)."""
    sizes = [path.stat().st_size for path in target.rglob("*") if path.is_file()]
    if (len(sizes), sum(sizes)) != (load.count, load.bytes):
        raise ClientFailed(f"{len(sizes)} files with {sum(sizes)} bytes came back")
