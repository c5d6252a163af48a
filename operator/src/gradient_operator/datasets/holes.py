"""Parts of files that were never written: they read as zeros, so nobody need read or send them.

A sparse file of 100 GiB is one line of a program. Whole segments of it that are holes become the
one segment of zeros, and stay holes where they are restored.
"""

from __future__ import annotations

import errno
import hashlib
import os
from functools import cache
from typing import Final

from gradient_operator.datasets.layout import SEGMENT_BYTES

_PIECE: Final = bytes(1024 * 1024)


def is_hole(fd: int, *, start: int, size: int) -> bool:
    """Whether no byte of this range was ever written; False where the file system cannot tell."""
    try:
        return os.lseek(fd, start, os.SEEK_DATA) >= start + size
    except OSError as error:
        return error.errno == errno.ENXIO  # nothing but a hole up to the end


@cache
def zero_segment() -> str:
    """The digest of a whole segment of zeros."""
    hasher = hashlib.sha256()
    for _ in range(SEGMENT_BYTES // len(_PIECE)):
        hasher.update(_PIECE)
    return hasher.hexdigest()
