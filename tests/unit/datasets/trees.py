"""Builders and fakes shared by the tests of datasets: trees, their comparison, faulty stores."""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradient_operator.datasets.backend import Backend, BlobExistsError, BlobInfo, Data
from gradient_operator.datasets.errors import StorageUnavailableError
from gradient_operator.datasets.store import BlobStore, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

QUICK = RetryPolicy(first_delay=0.001, longest_delay=0.002, elapsed=0.05)

Node = bytes | tuple[str, bytes] | None
"""What stands at a path: bytes of a file, ("x", bytes) of an executable, ("l", target), None."""


def make_tree(root: Path, nodes: dict[bytes, Node]) -> Path:
    """Create files, executables, links and directories (None) below a new directory."""
    root.mkdir(parents=True, exist_ok=True)
    base = os.fsencode(root)
    for path, node in nodes.items():
        full = base + b"/" + path
        os.makedirs(os.path.dirname(full) if node is not None else full, exist_ok=True)
        if node is None:
            continue
        kind, data = node if isinstance(node, tuple) else ("f", node)
        if kind == "l":
            os.symlink(data, full)
            continue
        with open(full, "wb") as file:
            file.write(data)
        os.chmod(full, 0o755 if kind == "x" else 0o644)
    return root


def read_tree(root: Path) -> dict[bytes, Node]:
    """The inverse of `make_tree`, with every directory listed."""
    base = os.fsencode(root)
    nodes: dict[bytes, Node] = {}
    for folder, directories, files in os.walk(base):
        for name in directories + files:
            full = os.path.join(folder, name)
            path = os.path.relpath(full, base)
            mode = os.lstat(full).st_mode
            if stat.S_ISLNK(mode):
                nodes[path] = ("l", os.readlink(full))
            elif stat.S_ISDIR(mode):
                nodes[path] = None
            else:
                with open(full, "rb") as file:
                    data = file.read()
                nodes[path] = ("x", data) if mode & 0o111 else data
    return nodes


def open_below(root: Path) -> list[str]:
    """Files and directories at or below `root` that this process has open."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except FileNotFoundError:
            continue
        if f"{target}/".startswith(f"{root}/"):
            found.append(target)
    return found


@dataclass
class FaultyBackend:
    """A backend that does what it is told to do wrong.

    `on_call` sees (operation, key) before each call and may raise; `corrupt` changes what reads
    return; `vanish` names operations whose effect is lost although they report success.
    """

    inner: Backend
    on_call: Callable[[str, str], None] = lambda _operation, _key: None
    corrupt: Callable[[str, bytes], bytes] | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def _enter(self, operation: str, key: str) -> None:
        with self.lock:
            self.calls.append((operation, key))
        self.on_call(operation, key)

    def put(self, key: str, data: Data, *, create: bool) -> None:
        self._enter("create" if create else "put", key)
        self.inner.put(key, data, create=create)

    def get(self, key: str, span: tuple[int, int] | None = None) -> memoryview:
        self._enter("get", key)
        data = self.inner.get(key, span)
        return memoryview(self.corrupt(key, bytes(data))) if self.corrupt else data

    def stream(self, key: str, start: int = 0) -> Iterator[Data]:
        self._enter("stream", key)
        for piece in self.inner.stream(key, start):
            yield self.corrupt(key, bytes(piece)) if self.corrupt else piece

    def size(self, key: str) -> int | None:
        self._enter("size", key)
        return self.inner.size(key)

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        self._enter("list", prefix)
        return self.inner.list(prefix)

    def count(self, operation: str, part: str = "") -> int:
        return sum(1 for name, key in self.calls if name == operation and part in key)


def fail_first(times: int, *, operation: str = "", part: str = "") -> Callable[[str, str], None]:
    """Let the first calls that match fail as a server error does."""
    left = [times]
    lock = threading.Lock()

    def on_call(name: str, key: str) -> None:
        with lock:
            if left[0] and operation in name and part in key:
                left[0] -= 1
                raise StorageUnavailableError(f"injected failure of {name} {key}")

    return on_call


def conflict_first(times: int) -> Callable[[str, str], None]:
    """Let the first conditional writes end in a conflict without anything being written."""
    left = [times]

    def on_call(name: str, key: str) -> None:
        if name == "create" and left[0]:
            left[0] -= 1
            raise BlobExistsError(key)

    return on_call


def faulty_store(
    inner: Backend, *, retry: RetryPolicy = QUICK, **faults: object
) -> tuple[BlobStore, FaultyBackend]:
    """A store over a faulty backend, and the backend to look at."""
    backend = FaultyBackend(inner, **faults)  # type: ignore[arg-type]
    return BlobStore(backend, retry=retry), backend
