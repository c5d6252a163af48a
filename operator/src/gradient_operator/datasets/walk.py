"""Walks a directory that hostile code has written, in the order of a manifest.

Nothing is ever reached through a symbolic link: every step opens one name inside an open directory
and refuses links. What is neither file, directory nor link is an error, never skipped in silence.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradient_operator.datasets.entries import DirectoryEntry, LinkEntry
from gradient_operator.datasets.errors import LocalDiskError, TreeError
from gradient_operator.datasets.paths import display, path_problem, target_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A regular file, open for reading; whoever receives it closes `fd`."""

    path: bytes
    fd: int
    status: os.stat_result

    @property
    def size(self) -> int:
        """Length in bytes when it was opened."""
        return self.status.st_size

    @property
    def executable(self) -> bool:
        """Whether anybody may execute it."""
        return bool(self.status.st_mode & 0o111)

    def check_unchanged(self) -> None:
        """Compare the file with what it was when it was opened.

        Raises:
            TreeError: it was written to in the meantime.
        """
        now, then = os.fstat(self.fd), self.status
        if (
            now.st_ctime_ns != then.st_ctime_ns
            or now.st_mtime_ns != then.st_mtime_ns
            or now.st_size != then.st_size
        ):
            raise changed(self.path)


Found = OpenFile | DirectoryEntry | LinkEntry


def changed(path: bytes) -> TreeError:
    """Build the error for a file that changes while it is read."""
    return TreeError(
        f"The file {display(path)} changed while it was being read: end every process that "
        "writes to the output before the job ends.",
        reason="OutputChanged",
    )


def walk(root: str | os.PathLike[str]) -> Iterator[Found]:
    """Find everything below `root`, ordered by raw path. Memory: the names of the open folders.

    Raises:
        TreeError: something cannot be part of a version; the message names it.
        FileNotFoundError: there is no `root`.
    """
    try:
        fd = os.open(root, _DIRECTORY)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise TreeError(
                f"{os.fspath(root)} is not a directory any more: the job must leave the "
                "directory of an output in place.",
                reason="OutputNotDirectory",
            ) from error
        raise
    yield from _walk(fd, b"")


def _walk(fd: int, prefix: bytes) -> Iterator[Found]:
    try:
        for name, kind in _names(fd, prefix):
            path = prefix + name
            if kind == b"/":
                yield from _walk(_open(name, path, fd, _DIRECTORY), path + b"/")
                continue
            problem = path_problem(path)
            if problem:
                raise TreeError(f"The path {display(path)} {problem}.", reason="PathUnacceptable")
            if kind == b"d":
                yield DirectoryEntry(path)
            elif kind == b"l":
                yield _link(name, path, fd)
            else:
                yield _file(name, path, fd)
    finally:
        os.close(fd)


def _names(fd: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield names with their kinds in the order of full paths.

    A directory stands twice: as itself, and with a slash where its content comes, because `a-b`
    sorts between `a` and `a/c`. The kind follows a NUL, which no name contains and which sorts
    before everything else, so one flat list of byte strings is all that is kept in memory.
    """
    keys: list[bytes] = []
    try:
        with os.scandir(fd) as found:
            for item in found:
                name = os.fsencode(item.name)
                kind = _kind(item, prefix + name)
                if kind == b"d":
                    if not prefix and name == b"lost+found" and _is_mkfs_folder(name, fd):
                        continue
                    keys.append(name + b"/\0/")
                keys.append(name + b"\0" + kind)
    except OSError as error:
        raise _unreadable(error, prefix or b".") from error
    keys.sort()
    for key in keys:
        name, _, kind = key.rpartition(b"\0")
        yield name.removesuffix(b"/"), kind


def _kind(item: os.DirEntry[str], path: bytes) -> bytes:
    if item.is_symlink():
        return b"l"
    if item.is_dir(follow_symlinks=False):
        return b"d"
    if item.is_file(follow_symlinks=False):
        return b"f"
    raise _special(path)


def _is_mkfs_folder(name: bytes, fd: int) -> bool:
    """Recognise the folder that ext4 puts into the root of every new volume."""
    status = os.stat(name, dir_fd=fd, follow_symlinks=False)
    return status.st_uid == 0 and status.st_nlink <= 2 and status.st_mode & 0o777 == 0o700  # noqa: PLR2004


def _special(path: bytes) -> TreeError:
    return TreeError(
        f"{display(path)} is a pipe, socket or device, which a dataset cannot hold: remove it "
        "before the job ends.",
        reason="SpecialFile",
    )


def _link(name: bytes, path: bytes, fd: int) -> LinkEntry:
    try:
        target = os.readlink(name, dir_fd=fd)
    except OSError as error:
        raise _unreadable(error, path) from error
    problem = target_problem(target)
    if problem:
        raise TreeError(
            f"The target of the link {display(path)} {problem}.", reason="PathUnacceptable"
        )
    return LinkEntry(path, target)


def _file(name: bytes, path: bytes, fd: int) -> OpenFile:
    opened = _open(name, path, fd, _FILE)
    status = os.fstat(opened)
    if not stat.S_ISREG(status.st_mode):
        os.close(opened)
        raise _special(path)
    return OpenFile(path, opened, status)


def _open(name: bytes, path: bytes, fd: int, flags: int) -> int:
    try:
        return os.open(name, flags, dir_fd=fd)
    except OSError as error:
        raise _unreadable(error, path) from error


def _unreadable(error: OSError, path: bytes) -> TreeError | LocalDiskError:
    if error.errno in {errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.ENXIO}:
        return changed(path)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return TreeError(
            f"{display(path)} cannot be read: {error.strerror}. Let the job write its outputs so "
            "that other users may read them (umask 022).",
            reason="OutputUnreadable",
        )
    return LocalDiskError(f"Reading {display(path)} failed: {error.strerror}.")
