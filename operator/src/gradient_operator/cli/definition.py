"""Reads what FILE names on the command line: a plain Gradient file, or a `GradientWorkflow`.

What the content means is `workflow`'s business; here it becomes a name, a spec and a policy.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gradient_operator.api.names import API_VERSION, GROUP
from gradient_operator.cli.errors import CommandError
from gradient_operator.workflow import loader

MAX_NAME: Final = 63
"""Of a workflow: runs refer to it by name."""
MAX_NAME_OF_FILE: Final = 52
"""With `-` and the ten characters that make the name of a run, it still fits into a label."""

OURS: Final = frozenset({"policy", "suspend"})
"""Keys of a workflow's spec that are no part of the Gradient file, and of no run's definition."""
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_STANDARD_INPUT: Final = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A workflow as its file defines it; `spec` is without `policy`."""

    name: str
    spec: Mapping[str, Any]
    policy: Mapping[str, Any] | None = None
    namespace: str | None = None
    metadata: Mapping[str, Any] | None = None
    """The labels and annotations of a `GradientWorkflow`."""
    source: str
    positions: loader.Positions
    root: tuple[str, ...] = ()
    """Where the spec stands in the file."""


def is_file(text: str) -> bool:
    """Whether FILE|NAME means a file: it exists, or it looks like a path."""
    return text == _STANDARD_INPUT or "/" in text or text.endswith((".yaml", ".yml")) or (
        Path(text).is_file()
    )  # fmt: skip


def read_definition(path: str, *, name: str | None = None) -> Definition:
    """Read a file, or standard input for `-`; `name` wins over the names in the file and of it.

    Raises:
        FileProblem: it is no YAML that can be used.
        CommandError: it cannot be read, is another kind of object, or gives no name.
    """
    source = "<stdin>" if path == _STANDARD_INPUT else path
    loaded = loader.load(loader.decode(_read(path), source=source), source=source)
    data = loaded.data
    root: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    if "apiVersion" in data and "kind" in data:
        data, metadata = _unwrap(loaded)
        root = ("spec",)
    chosen = name or metadata.get("name") or _name_of(path)
    if not _valid(chosen):
        raise CommandError(
            f"{chosen!r} cannot be the name of a workflow: use at most {MAX_NAME} lower-case "
            "letters, digits and '-', with a letter or digit at both ends (--name)."
        )
    return Definition(
        name=chosen,
        spec={key: value for key, value in data.items() if key not in OURS},
        policy=data.get("policy"),
        namespace=metadata.get("namespace"),
        metadata=metadata,
        source=source,
        positions=loaded.positions,
        root=root,
    )


def _valid(name: Any) -> bool:
    return isinstance(name, str) and len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def _read(path: str) -> bytes:
    limit = loader.MAX_BYTES + 1
    if path == _STANDARD_INPUT:
        return sys.stdin.buffer.read(limit)
    try:
        with Path(path).open("rb") as file:
            return file.read(limit)
    except FileNotFoundError:
        raise CommandError(f"There is no file {path}: check the path.") from None
    except IsADirectoryError:
        raise CommandError(
            f"{path} is a directory: name a file in it, as {path.rstrip('/')}/NAME.yaml."
        ) from None


def _unwrap(loaded: loader.LoadedFile) -> tuple[dict[str, Any], dict[str, Any]]:
    """The spec and metadata of a `GradientWorkflow`."""
    kind, version = loaded.data["kind"], loaded.data["apiVersion"]
    if kind != "GradientWorkflow" or not str(version).startswith(f"{GROUP}/"):
        raise CommandError(
            f"{loaded.source} holds a {kind} of {version}: give a plain Gradient file or a "
            f"GradientWorkflow of {API_VERSION}."
        )
    spec, metadata = loaded.data.get("spec"), loaded.data.get("metadata") or {}
    if not isinstance(spec, dict) or not isinstance(metadata, dict):
        raise CommandError(f"{loaded.source} lacks a spec or a proper metadata: add them.")
    return spec, metadata


def _name_of(path: str) -> str:
    """A name made from the file's name (RFC 1123)."""
    stem = "" if path == _STANDARD_INPUT else Path(path).stem
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower())[:MAX_NAME_OF_FILE].strip("-")
    if not name:
        raise CommandError("The file's name gives no name for the workflow: add --name NAME.")
    return name
