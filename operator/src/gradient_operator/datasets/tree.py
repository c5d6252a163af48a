"""Creates the entries of a version below one directory, never through a link.

Every path is opened part by part inside already opened directories, and every file and directory
must be new. Links are data: the caller creates them when nothing else is left to be written.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from gradient_operator.datasets.errors import LocalDiskError
from gradient_operator.datasets.leftovers import is_ours, prune
from gradient_operator.datasets.paths import display

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from gradient_operator.datasets.entries import Entry

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD_FILE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MARKER: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT: Final = "lost+found"


class Folder:
    """An open directory to write into, with a memory of the folder used last.

    Not safe to share between threads: each makes its own with `twin`.
    """

    def __init__(self, root: int, *, writable: bool, holds_leftovers: bool = False) -> None:
        """Take over the descriptor `root`; `writable` lets all users write."""
        self._root = root
        self._writable = writable
        self.holds_leftovers = holds_leftovers
        """Whether something of an earlier attempt may stand where entries are to be made."""
        self._path = b""
        self._last = -1
        self._exact: set[tuple[int, int]] = set()
        """Open folders, and modes that new files in them get without being told."""

    def twin(self) -> Folder:
        """Open the same directory a second time."""
        return Folder(
            os.dup(self._root), writable=self._writable, holds_leftovers=self.holds_leftovers
        )

    def prune(self, entries: Iterable[Entry], *, spared: frozenset[bytes] = frozenset()) -> None:
        """Remove what does not fit these entries; see `leftovers.py`."""
        with disk_errors(b"."):
            prune(self._root, entries, spared=spared | {_KEPT.encode()})

    def make_directory(self, path: bytes) -> None:
        """Create a directory with mode 0755 or 0777, or take the one that was left."""
        with disk_errors(path):
            folder, name = self._parent(path)
            try:
                os.mkdir(name, dir_fd=folder)
            except FileExistsError:
                if not self.holds_leftovers:
                    raise
            os.chmod(name, 0o777 if self._writable else 0o755, dir_fd=folder)

    def make_file(self, path: bytes, *, executable: bool) -> int:
        """Create an empty file and return its descriptor, open for writing."""
        mode = self._mode(executable=executable)
        with disk_errors(path):
            folder, name = self._parent(path)
            fd = os.open(name, _NEW_FILE, mode, dir_fd=folder)
            os.fchmod(fd, mode)
        return fd

    def write_file(self, path: bytes, data: memoryview, *, executable: bool) -> None:
        """Create a file that holds `data`: `make_file` for those who have all of it."""
        mode = self._mode(executable=executable)
        try:  # not `disk_errors`: this runs for every file of large trees
            folder, name = self._parent(path)
            fd = os.open(name, _NEW_FILE, mode, dir_fd=folder)
            try:
                if (folder, mode) not in self._exact:
                    self._set_mode(fd, folder, mode)
                while data:
                    data = data[os.write(fd, data) :]
            finally:
                os.close(fd)
        except OSError as error:
            raise _disk_error(error, path) from error

    def _set_mode(self, fd: int, folder: int, mode: int) -> None:
        """Give a new file its mode, and learn whether umask and folder give it the same anyway."""
        if stat.S_IMODE(os.fstat(fd).st_mode) == mode:
            self._exact.add((folder, mode))
        else:
            os.fchmod(fd, mode)

    def take_file(self, path: bytes, *, size: int, executable: bool) -> int | None:
        """Open a file of this length that an earlier attempt left, to be read and mended.

        None if there is none; the caller checks what it holds.
        """
        if not self.holds_leftovers:
            return None
        with disk_errors(path):
            folder, name = self._parent(path)
            try:
                fd = os.open(name, _OLD_FILE, dir_fd=folder)
            except FileNotFoundError:
                return None
            if not is_ours(os.fstat(fd), size=size):
                os.close(fd)
                return None
            os.fchmod(fd, self._mode(executable=executable))
        return fd

    def remove_file(self, path: bytes) -> None:
        """Remove a file that an earlier attempt left."""
        with disk_errors(path):
            folder, name = self._parent(path)
            os.unlink(name, dir_fd=folder)

    def make_link(self, path: bytes, target: bytes) -> None:
        """Create a symbolic link."""
        with disk_errors(path):
            folder, name = self._parent(path)
            os.symlink(target, name, dir_fd=folder)

    def _mode(self, *, executable: bool) -> int:
        return (
            (0o777 if executable else 0o666) if self._writable else 0o755 if executable else 0o644
        )

    def _parent(self, path: bytes) -> tuple[int, bytes]:
        folder, _, name = path.rpartition(b"/")
        if not folder:
            return self._root, name
        if folder != self._path or self._last < 0:
            self._forget()
            self._last = self._open(folder)
            self._path = folder
        return self._last, name

    def _open(self, folder: bytes) -> int:
        current = os.dup(self._root)
        for part in folder.split(b"/"):
            try:
                below = os.open(part, _DIRECTORY, dir_fd=current)
            finally:
                os.close(current)
            current = below
        return current

    def _forget(self) -> None:
        if self._last >= 0:
            os.close(self._last)
            self._last = -1
            self._exact.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._forget()
        os.close(self._root)


def open_target(
    target: str | os.PathLike[str], *, writable: bool, keep: bool = False, marker: str = ""
) -> Folder:
    """Create the directory `target` with its parents, or take an existing one, and open it.

    It must be empty, or hold the file `marker`: then what else it holds are leftovers. With `keep`
    whatever it holds are leftovers. A `lost+found`, which mkfs puts into new volumes, does not
    count.

    Raises:
        LocalDiskError: it is not a directory, not empty, or not writable.
    """
    shown = os.fsencode(os.fspath(target))
    mode = 0o777 if writable else 0o755
    with disk_errors(shown):
        try:
            Path(target).mkdir(mode=0o755, parents=True)
            is_new = True
        except FileExistsError:
            is_new = False
        fd = os.open(target, _DIRECTORY)
        try:
            names = set() if is_new else {*os.listdir(fd)} - {_KEPT}  # noqa: PTH208  # descriptor
            if names and not keep and marker not in names:
                raise LocalDiskError(
                    f"{display(shown)} is not empty: give an empty or a new directory.",
                    reason="TargetNotEmpty",
                )
            if is_new or os.fstat(fd).st_uid == os.geteuid():
                os.fchmod(fd, mode)
            if marker:
                os.close(os.open(marker, _MARKER, 0o644, dir_fd=fd))
        except BaseException:
            os.close(fd)
            raise
    return Folder(fd, writable=writable, holds_leftovers=bool(names))


@contextmanager
def disk_errors(path: bytes) -> Iterator[None]:
    """Turn errors of the file system into sentences.

    Raises:
        LocalDiskError: an OSError occurred.
    """
    try:
        yield
    except OSError as error:
        raise _disk_error(error, path) from error


def _disk_error(error: OSError, path: bytes) -> LocalDiskError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return LocalDiskError(
            f"No space is left for {display(path)}: give the job a larger disk or volume.",
            reason="DiskFull",
        )
    return LocalDiskError(f"Writing {display(path)} failed: {error.strerror or error}.")
