"""What differs between two versions, told from their manifests alone: no file is fetched.

Both manifests are in the order of their paths, so they are read side by side as streams: memory
does not grow with the number of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradient_operator.datasets.entries import DirectoryEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradient_operator.datasets.entries import Entry
    from gradient_operator.datasets.manifest import ManifestReader


@dataclass(frozen=True, slots=True)
class Difference:
    """A path that is not the same in both: one side is None where it does not exist."""

    path: bytes
    before: Entry | None
    after: Entry | None


def compare(before: ManifestReader, after: ManifestReader) -> Iterator[Difference]:
    """The differences, in the order of their paths.

    A directory counts only where the other version has a file or link in its place: directories
    that come and go are seen by their files.

    Raises:
        ManifestError: one of the manifests is malformed.
    """
    left, right = before.entries(), after.entries()
    old, new = next(left, None), next(right, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old.path < new.path):
            found, old = Difference(_path(old), old, None), next(left, None)
        elif old is None or new.path < old.path:
            found, new = Difference(new.path, None, new), next(right, None)
        else:
            found = Difference(new.path, old, new)
            old, new = next(left, None), next(right, None)
        if _matters(found):
            yield found


def _path(entry: Entry | None) -> bytes:
    return entry.path if entry is not None else b""


def _matters(found: Difference) -> bool:
    if found.before is None or found.after is None:
        return not isinstance(found.before or found.after, DirectoryEntry)
    return found.before != found.after
