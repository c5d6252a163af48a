"""Files and folders below one directory, never written through a link that lies there.

The directory may hold something already, as a volume that another job has filled does: a file of
the same name is replaced, and a second attempt goes over what the first one left.
"""

from __future__ import annotations

import errno
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from gradient_operator.datasets.errors import LocalDiskError
from gradient_operator.datasets.paths import display
from gradient_operator.datasets.tree import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not blocking: a pipe that lies there must not hold the job.
_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_IN_THE_WAY: Final = frozenset(
    {errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENXIO}
)


class PartFile:
    """A file that several threads write at once; the last one that is done closes it."""

    def __init__(self, fd: int, path: bytes) -> None:
        self._fd = fd
        self._path = path
        self._users = 1
        self._lock = threading.Lock()

    def share(self) -> Self:
        """Count one more user, who closes it too."""
        with self._lock:
            self._users += 1
        return self

    def write_at(self, offset: int, data: memoryview) -> int:
        """Write all of `data` at a place; returns its length in bytes."""
        done = 0
        with disk_errors(self._path):
            while done < data.nbytes:
                done += os.pwrite(self._fd, data[done:], offset + done)
        return done

    def truncate(self, size: int) -> None:
        """Make it `size` bytes long."""
        with disk_errors(self._path):
            os.ftruncate(self._fd, size)

    def close(self) -> None:
        """One user is done."""
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Target:
    """The directory; paths in it are relative and were checked (`datasets.paths`).

    Safe to use from several threads.
    """

    def __init__(self, path: str) -> None:
        """Make the directory if it is not there, and open it.

        Raises:
            LocalDiskError: it is no directory, or cannot be made.
        """
        with disk_errors(os.fsencode(path)):
            Path(path).mkdir(mode=0o777, parents=True, exist_ok=True)
            self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def make_directory(self, path: bytes) -> None:
        """Make a directory with those above it, unless it is there."""
        with _collisions(path):
            os.close(self._folder(path))

    def make_file(self, path: bytes) -> PartFile:
        """Make an empty file, in place of one that is there, with the directories above it.

        Raises:
            LocalDiskError: a directory, a link or a device is in its place.
        """
        above, _, name = path.rpartition(b"/")
        with _collisions(path):
            folder = self._folder(above)
            try:
                fd = os.open(name, _FILE, 0o666, dir_fd=folder)
            finally:
                os.close(folder)
        return PartFile(fd, path)

    def _folder(self, path: bytes) -> int:
        current = os.dup(self._root)
        for part in path.split(b"/") if path else ():
            try:
                _make(part, current)
                below = os.open(part, _FOLDER, dir_fd=current)
            finally:
                os.close(current)
            current = below
        return current

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._root)


def _make(name: bytes, folder: int) -> None:
    try:
        os.mkdir(name, 0o777, dir_fd=folder)
    except FileExistsError:
        return


@contextmanager
def _collisions(path: bytes) -> Iterator[None]:
    """Say what it means when something of another kind is in the way."""
    with disk_errors(path):
        try:
            yield
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
            raise LocalDiskError(
                f"A file and a folder, or a link, both want to be {display(path)}: a bucket may "
                "hold an object and others below its name, a disk cannot. Rename one, or name the "
                "folder in url.",
                reason="S3NamesCollide",
            ) from error
