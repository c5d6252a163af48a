"""Creates the entries of a version below one directory, never through a link.

Every path is opened part by part inside already opened directories, and every file and directory
must be new. Links are data: the caller creates them when nothing else is left to be written.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from gradient_operator.datasets.errors import LocalDiskError
from gradient_operator.datasets.paths import display

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT: Final = "lost+found"


class Folder:
    """An open directory to write into, with a memory of the folder used last.

    Not safe to share between threads: each makes its own with `twin`.
    """

    def __init__(self, root: int, *, writable: bool) -> None:
        """Take over the descriptor `root`; `writable` lets all users write."""
        self._root = root
        self._writable = writable
        self._path = b""
        self._last = -1

    def twin(self) -> Folder:
        """Open the same directory a second time."""
        return Folder(os.dup(self._root), writable=self._writable)

    def make_directory(self, path: bytes) -> None:
        """Create a directory with mode 0755 or 0777."""
        with disk_errors(path):
            folder, name = self._parent(path)
            os.mkdir(name, dir_fd=folder)
            os.chmod(name, 0o777 if self._writable else 0o755, dir_fd=folder)

    def make_file(self, path: bytes, *, executable: bool) -> int:
        """Create an empty file and return its descriptor, open for writing."""
        mode = (
            (0o777 if executable else 0o666) if self._writable else 0o755 if executable else 0o644
        )
        with disk_errors(path):
            folder, name = self._parent(path)
            fd = os.open(name, _NEW_FILE, mode, dir_fd=folder)
            os.fchmod(fd, mode)
        return fd

    def make_link(self, path: bytes, target: bytes) -> None:
        """Create a symbolic link."""
        with disk_errors(path):
            folder, name = self._parent(path)
            os.symlink(target, name, dir_fd=folder)

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


def open_target(target: str | os.PathLike[str], *, writable: bool, replace: bool) -> Folder:
    """Create the directory `target` with its parents, or take an empty one, and open it.

    With `replace` whatever an earlier attempt left in it is removed. A `lost+found`, which mkfs
    puts into new volumes, does not count.

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
            if not is_new:
                _empty(fd, shown, replace=replace)
            if is_new or os.fstat(fd).st_uid == os.geteuid():
                os.fchmod(fd, mode)
        except BaseException:
            os.close(fd)
            raise
    return Folder(fd, writable=writable)


def _empty(fd: int, shown: bytes, *, replace: bool) -> None:
    for name in sorted(os.listdir(fd)):
        if name == _KEPT:
            continue
        if not replace:
            raise LocalDiskError(
                f"{display(shown)} is not empty: give an empty or a new directory.",
                reason="TargetNotEmpty",
            )
        if stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=fd)
        else:
            os.unlink(name, dir_fd=fd)


@contextmanager
def disk_errors(path: bytes) -> Iterator[None]:
    """Turn errors of the file system into sentences.

    Raises:
        LocalDiskError: an OSError occurred.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise LocalDiskError(
                f"No space is left for {display(path)}: give the job a larger disk or volume.",
                reason="DiskFull",
            ) from error
        raise LocalDiskError(
            f"Writing {display(path)} failed: {error.strerror or error}."
        ) from error
