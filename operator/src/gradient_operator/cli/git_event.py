"""What `context.event.github` stands for when a person starts a run: the clone the file lies in.

The hosted service knew it from the push, and such a file could not be run from its command line.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

URL: Final = "context.event.github.url"
REF: Final = "context.event.github.ref"

_SSH: Final = re.compile(r"(?:ssh://)?git@(?P<host>[^:/]+)[:/](?P<path>.+)")
_PASSWORD: Final = re.compile(r"^([a-z+]+://)[^/@]+@")
_SECONDS: Final = 10


def with_event(spec: Mapping[str, Any], directory: Path) -> tuple[Mapping[str, Any], str]:
    """The spec with the event filled in where its jobs need one, and a sentence about it.

    The sentence is empty when nothing was filled in: no job asks, the file says it itself, or
    there is no clone.
    """
    wanted = _wanted(spec)
    context = _mapping(spec.get("context"))
    event = _mapping(context.get("event"))
    github = _mapping(event.get("github"))
    missing = [key for key in wanted if not github.get(key)]
    found = {key: value for key in missing if (value := _ask(key, directory))}
    if not found:
        return spec, ""
    said = ", ".join(f"context.event.github.{key} is {value}" for key, value in found.items())
    filled = {**context, "event": {**event, "github": {**github, **found}}}
    return {**spec, "context": filled}, f"{said} (from this clone)"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _wanted(spec: Mapping[str, Any]) -> list[str]:
    wanted = set()
    for job in (spec.get("jobs") or {}).values():
        parameters = job.get("with") if isinstance(job, dict) else None
        if isinstance(parameters, dict):
            wanted |= {URL, REF} & {str(value) for value in parameters.values()}
    return [key for key, placeholder in (("url", URL), ("ref", REF)) if placeholder in wanted]


def _ask(key: str, directory: Path) -> str:
    if key == "ref":
        return _git(directory, "rev-parse", "HEAD")
    url = _git(directory, "remote", "get-url", "origin")
    match = _SSH.fullmatch(url)
    if match:
        return f"https://{match['host']}/{match['path']}"
    return _PASSWORD.sub(r"\1", url)  # the run's spec is no place for a token


def _git(directory: Path, *arguments: str) -> str:
    program = shutil.which("git")
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "-C", str(directory), *arguments],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
