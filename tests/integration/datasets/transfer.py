"""One transfer as a process of its own, so that its peak memory can be seen."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from gradient_operator.datasets.credentials import read_credentials
from gradient_operator.datasets.entries import FileEntry, PackedAt
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.manifest import ManifestReader, ManifestWriter, Version
from gradient_operator.datasets.pool import CONCURRENCY
from gradient_operator.datasets.remembered import TreeMemory
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.store import BlobStore


def manifest(store: BlobStore, entries: int) -> Version:
    """Write a manifest of so many different files and read it back, with all locators."""
    pack = hashlib.sha256(b"pack").hexdigest()
    with ManifestWriter() as writer:
        for number in range(entries):
            path = b"%09d.jpg" % number
            digest = hashlib.sha256(path).hexdigest()
            entry = FileEntry(path, 1000, digest, executable=False)
            writer.add(entry, PackedAt(pack, number % 16_000))
        version = writer.store(store)
    with ManifestReader.fetch(store, version.digest) as reader:
        assert sum(place is not None for _, place in reader.located()) == entries
    return version


def memory(task: dict[str, Any], location: StorageLocation) -> TreeMemory | None:
    """As `gradient dataset put` has it, if the task names a folder for it."""
    if "memory" not in task:
        return None
    return TreeMemory(Path(task["memory"]), location, Path(task["path"]))


def peak() -> int:
    """Highest resident memory since the start, in bytes; getrusage would count the parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError("VmHWM")


def main() -> None:
    task = json.loads(sys.argv[1])
    location = StorageLocation.from_json(json.dumps(task["location"]))
    keys = read_credentials(Path(task["keys"])) if task.get("keys") else None
    store = BlobStore.open(location, keys)
    concurrency = task.get("concurrency", CONCURRENCY)
    started = time.monotonic()
    if task["do"] == "snapshot":
        version = snapshot(
            store,
            task["path"],
            base=task.get("base", ()),
            concurrency=concurrency,
            memory=memory(task, location),
        )
    elif task["do"] == "manifest":
        version = manifest(store, task["entries"])
    else:
        version = restore(store, task["digest"], task["path"], concurrency=concurrency)
    report = {
        "digest": version.digest,
        "files": version.files,
        "bytes": version.bytes,
        "seconds": time.monotonic() - started,
        "peak": peak(),
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main()
