"""One transfer as a process of its own, so that its peak memory can be seen."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from gradient_operator.datasets.credentials import read_credentials
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.restore import restore
from gradient_operator.datasets.snapshot import snapshot
from gradient_operator.datasets.store import BlobStore


def main() -> None:
    task = json.loads(sys.argv[1])
    location = StorageLocation.from_json(json.dumps(task["location"]))
    keys = read_credentials(Path(task["keys"])) if task.get("keys") else None
    store = BlobStore.open(location, keys)
    concurrency = task.get("concurrency", 8)
    started = time.monotonic()
    if task["do"] == "snapshot":
        version = snapshot(store, task["path"], base=task.get("base", ()), concurrency=concurrency)
    else:
        version = restore(store, task["digest"], task["path"], concurrency=concurrency)
    report = {
        "digest": version.digest,
        "files": version.files,
        "bytes": version.bytes,
        "seconds": time.monotonic() - started,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main()
