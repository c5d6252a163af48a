"""What no client can beat here: hashing the same bytes, and bare requests of 16 MiB."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradient_operator.datasets.backend import open_backend
from gradient_operator.datasets.credentials import read_credentials
from gradient_operator.datasets.layout import SEGMENT_BYTES
from gradient_operator.datasets.location import StorageLocation

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.seaweedfs import S3Server

_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for the same bytes: SHA-256 on all processors, bare PUTs and GETs of 16 MiB."""

    hash: float
    put: float
    get: float


NO_LIMITS: Final = Limits(math.nan, math.nan, math.nan)


def measure_limits(server: S3Server, keys: Path, root: Path, size: int) -> Limits:
    """Measure with the files below `root`, `size` bytes together."""
    put, get = _raw_seconds(server, keys, size)
    return Limits(_hash_seconds(root), put, get)


def _hash_seconds(root: Path) -> float:
    started = time.monotonic()
    files = [path for path in root.rglob("*") if path.is_file()]
    work = [
        (path, start) for path in files for start in range(0, path.stat().st_size, SEGMENT_BYTES)
    ]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(_hash, work))
    return time.monotonic() - started


def _hash(part: tuple[Path, int]) -> bytes:
    path, start = part
    with path.open("rb") as file:
        file.seek(start)
        return hashlib.sha256(file.read(SEGMENT_BYTES)).digest()


def _raw_seconds(server: S3Server, keys: Path, size: int) -> tuple[float, float]:
    """PUT and GET of so many bytes in objects of 16 MiB, without hashing of ours or files."""
    location = StorageLocation.from_json(json.dumps(server.location("raw")))
    backend = open_backend(location, read_credentials(keys))
    count = max(1, size // SEGMENT_BYTES)
    data = [os.urandom(min(size, SEGMENT_BYTES)) for _ in range(min(4, count))]
    names = [f"raw/{number}" for number in range(count)]
    times = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for work in (
            lambda pair: backend.put(pair[1], data[pair[0] % len(data)], create=False),
            lambda pair: backend.get(pair[1]),
        ):
            os.sync()
            started = time.monotonic()
            list(pool.map(work, enumerate(names)))
            times.append(time.monotonic() - started)
    backend.delete(names)
    return times[0], times[1]
