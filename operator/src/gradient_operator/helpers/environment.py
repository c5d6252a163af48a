"""Reads what a helper is to do from its environment, and refuses what it does not understand."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.datasets.layout import is_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

READY_FILE: Final = "/tmp/gradient-ready"  # noqa: S108  # the container is the helper's own
TERMINATION_LOG: Final = "/dev/termination-log"
CREDENTIALS: Final = "/var/run/gradient/storage"


class SettingsError(Exception):
    """The environment does not say what to do; the message names the variable."""


def required(name: str) -> str:
    """Return a variable that must be set and not empty."""
    value = os.environ.get(name, "")
    if not value:
        raise SettingsError(f"The environment variable {name} is not set.")
    return value


def number(name: str, default: float) -> float:
    """Return a variable that must be a positive number if it is set."""
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise SettingsError(f"The environment variable {name}={text!r} is not a positive number.")
    return value


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$NAME` and `${NAME}` by variables; an unknown name stays as it is written."""

    def value(found: re.Match[str]) -> str:
        return variables.get(found.group(1) or found.group(2), found.group(0))

    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, text.strip())


def ready_file() -> Path:
    """File whose existence says that the uploader listens for SIGTERM."""
    return Path(os.environ.get("GRADIENT_READY_FILE") or READY_FILE)


def termination_log() -> Path:
    """File that the kubelet shows as the container's termination message."""
    return Path(os.environ.get("GRADIENT_TERMINATION_LOG") or TERMINATION_LOG)


def credentials_directory() -> Path:
    """Directory of the mounted Secret with the storage's keys."""
    return Path(os.environ.get("GRADIENT_CREDENTIALS") or CREDENTIALS)


def concurrency(usual: int) -> int:
    """How many segments or parts may be under way; `usual` is the number if nobody says one."""
    return max(1, int(number("GRADIENT_CONCURRENCY", usual)))


def blob_cache() -> tuple[Path, int] | None:
    """Folder and bytes of the node's cache, as `GRADIENT_BLOB_CACHE` says; None without one.

    Raises:
        SettingsError: it cannot be understood.
    """
    text = os.environ.get("GRADIENT_BLOB_CACHE", "")
    if not text:
        return None
    raw = _json(text, "GRADIENT_BLOB_CACHE")
    limit = raw.get("bytes") if isinstance(raw, dict) else None
    if type(limit) is not int or limit < 1:
        raise SettingsError("GRADIENT_BLOB_CACHE names no number of bytes.")
    return Path(_path(raw)), limit


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchItem:
    """One thing to put at `path`: a version, the value of a string output, or nothing."""

    path: str
    digest: str | None = None
    writable: bool = False
    total: int | None = None
    reference: str | None = None
    string: str | None = None


def fetch_items(text: str) -> list[FetchItem]:
    """Read `GRADIENT_FETCH`.

    Raises:
        SettingsError: it is not a list of items that can be understood.
    """
    raw = _json(text, "GRADIENT_FETCH")
    if not isinstance(raw, list):
        raise SettingsError("GRADIENT_FETCH is not a JSON list.")
    return [_fetch_item(item) for item in raw]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadDirectory:
    """A directory that becomes a version; `base` are versions that may share files with it."""

    name: str
    path: str
    base: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadString:
    """A file whose text becomes the value of a string output."""

    name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadTask:
    """Everything that one Pod produces."""

    directories: tuple[UploadDirectory, ...]
    strings: tuple[UploadString, ...]


def upload_task(text: str) -> UploadTask:
    """Read `GRADIENT_UPLOAD`.

    Raises:
        SettingsError: it is not an object that can be understood.
    """
    raw = _json(text, "GRADIENT_UPLOAD")
    if not isinstance(raw, dict):
        raise SettingsError("GRADIENT_UPLOAD is not a JSON object.")
    return UploadTask(
        directories=tuple(
            UploadDirectory(
                name=_string(item, "name"), path=_path(item), base=tuple(_digests(item))
            )
            for item in _items(raw, "directories")
        ),
        strings=tuple(
            UploadString(name=_string(item, "name"), path=_path(item))
            for item in _items(raw, "strings")
        ),
    )


def _fetch_item(item: Any) -> FetchItem:
    path = _path(item)
    if item.get("empty") is True:
        return FetchItem(path=path, writable=item.get("writable") is True)
    if "string" in item:
        source = item["string"]
        return FetchItem(
            path=path, reference=_string(source, "ref"), string=_string(source, "name")
        )
    total = item.get("bytes")
    if not is_digest(item.get("digest")):
        raise SettingsError(f"GRADIENT_FETCH has no digest for {path}.")
    return FetchItem(
        path=path,
        digest=item["digest"],
        writable=item.get("writable") is True,
        total=total if type(total) is int else None,
    )


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"The environment variable {name} is not JSON: {error}.") from None


def _items(raw: Mapping[str, Any], key: str) -> list[Any]:
    items = raw.get(key, [])
    if not isinstance(items, list):
        raise SettingsError(f"GRADIENT_UPLOAD has no list of {key}.")
    return items


def _digests(item: Mapping[str, Any]) -> list[str]:
    digests = item.get("base", [])
    if not isinstance(digests, list) or not all(map(is_digest, digests)):
        raise SettingsError("GRADIENT_UPLOAD has a base that is not a list of digests.")
    return digests


def _path(item: Any) -> str:
    path = _string(item, "path")
    if not path.startswith("/"):
        raise SettingsError(f"The path {path!r} is not absolute.")
    return path


def _string(item: Any, key: str) -> str:
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, str) or not value:
        raise SettingsError(f"An item of the task has no {key!r}.")
    return value
