"""What an interrupted restore left in its directory, compared with what the version holds.

Whatever cannot become part of the version as it is goes; what is left has the right kind and length
and is checked byte for byte by the restore itself. Nothing is reached through a link, and a file
with a second name is not kept: writing it would change the other one as well.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradient_operator.datasets.entries import DirectoryEntry, FileEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradient_operator.datasets.entries import Entry

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class _Found:
    """Something that stands below the root: its path, and how to reach it."""

    path: bytes
    name: bytes
    folder: int
    is_directory: bool

    def fits(self, entry: Entry) -> bool:
        status = os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        if isinstance(entry, DirectoryEntry):
            return self.is_directory and status.st_uid == os.geteuid()
        return isinstance(entry, FileEntry) and is_ours(status, size=entry.size)

    def remove(self) -> None:
        if self.is_directory:
            shutil.rmtree(self.name, dir_fd=self.folder)
        else:
            os.unlink(self.name, dir_fd=self.folder)


def is_ours(status: os.stat_result, *, size: int) -> bool:
    """Whether this is a regular file of `size` bytes that we made and that has no other name."""
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_size == size
        and status.st_nlink == 1
        and status.st_uid == os.geteuid()
    )


def prune(root: int, entries: Iterable[Entry], *, spared: frozenset[bytes]) -> None:
    """Remove what does not belong to `entries`, which come in the order of their paths.

    `root` is an open directory; names in `spared` directly below it are left alone. Memory: the
    names of the open folders.

    Raises:
        OSError: something cannot be read or removed.
    """
    present = _walk(root, b"", spared)
    found = next(present, None)
    for entry in entries:
        while found is not None and found.path < entry.path:
            found.remove()
            found = next(present, None)
        if found is not None and found.path == entry.path:
            if not found.fits(entry):
                found.remove()
            found = next(present, None)
    while found is not None:
        found.remove()
        found = next(present, None)


def _walk(folder: int, prefix: bytes, spared: frozenset[bytes]) -> Iterator[_Found]:
    """Everything below a folder in the order of a manifest; what was removed is passed over.

    As in `walk.py` a directory stands twice: as itself, and with a slash where its content comes.
    """
    keys: list[bytes] = []
    with os.scandir(folder) as items:
        for item in items:
            name = os.fsencode(item.name)
            if name in spared and not prefix:
                continue
            keys.append(name + b"\0")
            if item.is_dir(follow_symlinks=False):
                keys[-1] += b"d"
                keys.append(name + b"/\0")
    for key in sorted(keys):
        name, _, kind = key.rpartition(b"\0")
        if not name.endswith(b"/"):
            yield _Found(prefix + name, name, folder, is_directory=kind == b"d")
            continue
        try:
            below = os.open(name.removesuffix(b"/"), _DIRECTORY, dir_fd=folder)
        except FileNotFoundError:
            continue  # The caller has removed it when it was told of it.
        try:
            yield from _walk(below, prefix + name, frozenset())
        finally:
            os.close(below)
