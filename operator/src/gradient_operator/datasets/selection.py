"""Some paths of a version, as people name them: files, and folders with all that is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradient_operator.datasets.entries import FileEntry
from gradient_operator.datasets.errors import PathMissingError
from gradient_operator.datasets.manifest import Version
from gradient_operator.datasets.paths import display, parent, path_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradient_operator.datasets.entries import Entry
    from gradient_operator.datasets.manifest import ManifestReader


@dataclass(frozen=True, slots=True)
class Selection:
    """The wanted paths, and the folders that lead to them."""

    wanted: frozenset[bytes]
    above: frozenset[bytes]

    @classmethod
    def of(cls, paths: Iterable[bytes]) -> Selection:
        """Read paths as people write them: `./a/`, `a` and `/a` are the same.

        Raises:
            PathMissingError: no version can hold such a path.
        """
        wanted = frozenset(clean(path) for path in paths)
        above = {folder for path in wanted for folder in _ancestors(path)} - wanted
        return cls(wanted, frozenset(above))

    def takes(self, entry: Entry) -> bool:
        """Whether the entry is wanted, lies in a wanted folder, or leads to one."""
        path = entry.path
        return (
            path in self.wanted
            or path in self.above
            or any(folder in self.wanted for folder in _ancestors(path))
        )

    def measure(self, manifest: ManifestReader) -> Version:
        """What is selected of a version: number of files, and sum of their lengths in bytes.

        Raises:
            PathMissingError: a wanted path is not in it.
            ManifestError: the manifest is malformed.
        """
        missing = set(self.wanted)
        files = size = 0
        for entry in manifest.entries():
            missing.discard(entry.path)
            if isinstance(entry, FileEntry) and self.takes(entry):
                files += 1
                size += entry.size
        if missing:
            named = ", ".join(display(path) for path in sorted(missing)[:5])
            raise PathMissingError(f"The version holds no {named}.")
        return Version(digest=manifest.digest, files=files, bytes=size)


def clean(path: bytes) -> bytes:
    """A path as manifests have it.

    Raises:
        PathMissingError: no version can hold it.
    """
    kept = b"/".join(part for part in path.split(b"/") if part not in {b"", b"."})
    if path_problem(kept):
        raise PathMissingError(f"{display(path)} is no path of a version: it is relative, as a/b.")
    return kept


def _ancestors(path: bytes) -> Iterator[bytes]:
    while path := parent(path):
        yield path
