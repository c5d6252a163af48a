"""The trees that are moved: random bytes, the same for every client."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KIB: Final = 1024
MIB: Final = 1024 * KIB
MILLION: Final = "million"
"""The load that is measured only when it is asked for."""
_PER_FOLDER: Final = 1_000


@dataclass(frozen=True, slots=True)
class Load:
    """Numbers of files by their size in bytes; `ours_only` where others would take an hour."""

    key: str
    title: str
    files: tuple[tuple[int, int], ...]
    ours_only: bool = False

    @property
    def bytes(self) -> int:
        """All files together."""
        return sum(count * size for count, size in self.files)

    @property
    def count(self) -> int:
        """The number of files."""
        return sum(count for count, _ in self.files)

    def make(self, root: Path) -> None:
        """Write the tree."""
        source = random.Random(self.key)
        for number, size in self._sizes():
            folder = root / f"{number // _PER_FOLDER:04d}"
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{number:07d}.bin").open("wb") as file:
                for start in range(0, size, MIB):
                    file.write(source.randbytes(min(MIB, size - start)))

    def _sizes(self) -> Iterator[tuple[int, int]]:
        number = 0
        for count, size in self.files:
            for _ in range(count):
                yield number, size
                number += 1


FULL: Final = (
    Load("large", "one file of 2 GiB", ((1, 2048 * MIB),)),
    Load("small", "10,000 files of 10 KiB", ((10_000, 10 * KIB),)),
    Load(
        "mixed",
        "4 x 128 MiB, 40 x 4 MiB, 4,000 x 20 KiB",
        ((4, 128 * MIB), (40, 4 * MIB), (4_000, 20 * KIB)),
    ),
    Load(MILLION, "1,000,000 files of 100 B", ((1_000_000, 100),), ours_only=True),
)
QUICK: Final = (
    Load("large", "one file of 64 MiB", ((1, 64 * MIB),)),
    Load("small", "500 files of 10 KiB", ((500, 10 * KIB),)),
    Load(
        "mixed",
        "1 x 32 MiB, 4 x 4 MiB, 200 x 20 KiB",
        ((1, 32 * MIB), (4, 4 * MIB), (200, 20 * KIB)),
    ),
    Load(MILLION, "10,000 files of 100 B", ((10_000, 100),), ours_only=True),
)
