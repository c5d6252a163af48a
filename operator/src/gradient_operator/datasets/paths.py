"""The rules that a path inside a version must keep, for writers and readers alike.

Paths are raw bytes relative to the version's root. The rules are what stops a manifest from
steering `restore` out of its directory; they are checked before anything touches a disk.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST_PATH: Final = 16 * 1024
DEEPEST_PATH: Final = 256
LONGEST_TARGET: Final = 4095

_PART: Final = rb"(?!\.{1,2}(?:/|\Z))[^/\x00]{1,255}"
_PATH: Final = re.compile(_PART + rb"(?:/" + _PART + rb")*\Z")


def path_problem(path: bytes) -> str | None:
    """Say what is wrong with a path, or None."""
    if len(path) > LONGEST_PATH:
        return f"is longer than {LONGEST_PATH} bytes"
    if _PATH.match(path) is None:
        return "is absolute, has an empty, dotted or too long part, or contains NUL"
    if path.count(b"/") >= DEEPEST_PATH:
        return f"is more than {DEEPEST_PATH} folders deep"
    return None


def target_problem(target: bytes) -> str | None:
    """Say what is wrong with the target of a symbolic link, or None. Any place may be named."""
    if not target or len(target) > LONGEST_TARGET or b"\x00" in target:
        return f"is empty, longer than {LONGEST_TARGET} bytes or contains NUL"
    return None


def parent(path: bytes) -> bytes:
    """Folder of a path; empty for the root."""
    return path.rpartition(b"/")[0]


def display(path: bytes) -> str:
    """Show a path in a message: printable, in one line, of bounded length."""
    text = path.decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"'{shown}'" if len(shown) <= 200 else f"'{shown[:120]}…{shown[-60:]}'"  # noqa: PLR2004
