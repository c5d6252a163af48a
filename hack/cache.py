"""The folder of things that are slow to make and depend on their inputs alone.

Everything in it is found by a key made of the content of its inputs, is put there by a rename of a
finished file or folder, and can be deleted at any time: the next run makes it again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY_LENGTH = 16


def cache_folder(*parts: str) -> Path:
    """`parts` below the user's cache folder; it is made if it is not there."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base.joinpath("gradient-operator", *parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def content_key(inputs: Mapping[str, str | bytes]) -> str:
    """A short key that changes when the name or the content of any input changes.

    Lengths are hashed as well: without them the end of one input could pass for the start of the
    next.
    """
    digest = hashlib.sha256()
    for name in sorted(inputs):
        value = inputs[name]
        data = value.encode() if isinstance(value, str) else value
        label = name.encode()
        digest.update(f"{len(label)}:{len(data)}:".encode())
        digest.update(label)
        digest.update(data)
    return digest.hexdigest()[:KEY_LENGTH]


def write_atomically(path: Path, content: str, *, mode: int = 0o644) -> None:
    """Replace `path` in one step: a reader, and whoever comes after a kill, sees all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, so that two runs never make the same thing at the same time.

    The lock ends with the process that holds it, however that ends. Whoever held it before may have
    deleted the file (see `hack.cluster.state`): then the lock is on a file that nobody else finds,
    and it is taken again on the new one.
    """
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except (FileNotFoundError, FileExistsError):
            continue  # the folder was deleted in between, or while it was being looked at
        fcntl.flock(handle, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.fstat(handle).st_ino == path.stat().st_ino:
                break
        os.close(handle)
    try:
        yield
    finally:
        os.close(handle)
