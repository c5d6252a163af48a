"""Where objects stand in a bucket, and the sizes that belong to the layout.

Everything lives under `<prefix>/v1/`. Keys of data are made of digests only, so that no name which
a user chose becomes part of one; `run_archive.py` says what the keys of the archive hold.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final

LAYOUT: Final = 1
ROOT: Final = "v1"
FORMAT_KEY: Final = f"{ROOT}/FORMAT"

SEGMENT_BYTES: Final = 16 * 1024 * 1024
"""Longest segment in bytes; every segment of a file but its last has this length."""

SMALL_FILE_BYTES: Final = 1024 * 1024
"""Files below this many bytes share packs."""

PACK_BYTES: Final = 16 * 1024 * 1024
"""A pack is closed before it would exceed this many bytes."""

PACK_FILES: Final = 8192
"""A pack is closed at this many files, which bounds the entries that wait for its digest."""

TREE_PREFIX: Final = "t16:"
"""Marks the digest of a file longer than one segment: SHA-256 over its segments' digests."""

EMPTY_SHA256: Final = hashlib.sha256(b"").hexdigest()

MANIFESTS: Final = f"{ROOT}/manifests"
BLOBS: Final = (f"{ROOT}/segments", f"{ROOT}/packs")
RUNS: Final = f"{ROOT}/runs"
MIRROR: Final = f"{ROOT}/mirror"
PROVENANCE: Final = f"{ROOT}/provenance"
GC_OWNER_KEY: Final = f"{ROOT}/gc/owner.json"
GC_MARKS_KEY: Final = f"{ROOT}/gc/marks"
GC_CLOCK_KEY: Final = f"{ROOT}/gc/clock/now"
GC_SWEEPS: Final = f"{ROOT}/gc/sweeps"
"""Holds one object for each sweep that is going on."""

_HEX = re.compile(r"[0-9a-f]{64}")
_RUN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def is_digest(text: object) -> bool:
    """Tell whether `text` is 64 lower-case hexadecimal digits."""
    return isinstance(text, str) and _HEX.fullmatch(text) is not None


def is_run_id(text: object) -> bool:
    """Tell whether `text` may stand for a Pod's UID in a key."""
    return isinstance(text, str) and _RUN.fullmatch(text) is not None


def segment_key(digest: str) -> str:
    """Key of the segment with this SHA-256."""
    return f"{ROOT}/segments/sha256/{digest[:2]}/{digest}"


def pack_key(digest: str) -> str:
    """Key of the pack with this SHA-256."""
    return f"{ROOT}/packs/sha256/{digest[:2]}/{digest}"


def manifest_key(digest: str) -> str:
    """Key of the manifest whose content section has this SHA-256."""
    return f"{ROOT}/manifests/sha256/{digest}"


def manifest_digest(key: str) -> str | None:
    """The version whose manifest a key names, or None."""
    head, _, name = key.rpartition("/")
    return name if head == f"{MANIFESTS}/sha256" and is_digest(name) else None


def provenance_digest(key: str) -> str | None:
    """The version that a statement tells of, or None."""
    head, _, rest = key.partition(f"{PROVENANCE}/sha256/")
    digest = rest.partition("/")[0]
    return digest if not head and is_digest(digest) else None


def run_of_key(key: str) -> str:
    """The UID of the Pod that an object below `runs/` belongs to."""
    return key.removeprefix(f"{RUNS}/").partition("/")[0]


def run_key(run_id: str, name: str) -> str:
    """Key of an object of one Pod: `result.json` or `abort`.

    Raises:
        ValueError: `run_id` could leave the folder of runs.
    """
    if not is_run_id(run_id):
        raise ValueError(f"{run_id!r} is not the UID of a Pod")
    return f"{ROOT}/{run_reference(run_id, name)}"


def run_reference(run_id: str, name: str) -> str:
    """Refer to an object of one Pod in a result: its key below the layout's root."""
    return f"runs/{run_id}/{name}"


def parse_run_reference(reference: str) -> str:
    """Return the Pod's UID out of a reference to its `result.json`.

    Raises:
        ValueError: the reference does not have the form `runs/<uid>/result.json`.
    """
    head, _, tail = reference.partition("/")
    run_id, _, name = tail.partition("/")
    if head != "runs" or name != "result.json" or not is_run_id(run_id):
        raise ValueError(f"{reference[:200]!r} is not of the form runs/<uid>/result.json")
    return run_id


def format_body() -> bytes:
    """Body of the object that tells readers which layout a bucket holds."""
    body = {"layout": LAYOUT, "segment": SEGMENT_BYTES}
    return json.dumps(body, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def segment_count(size: int) -> int:
    """Return how many segments a file of `size` bytes has."""
    return -(-size // SEGMENT_BYTES)


def tree_digest(segments: bytes | bytearray) -> str:
    """Digest of a file longer than one segment, from its segments' concatenated raw digests."""
    return TREE_PREFIX + hashlib.sha256(segments).hexdigest()
