"""Run other programs: arguments as a list, never through a shell, errors as one sentence."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# The folders of system programs are missing from PATH in some login shells (Debian's plain users).
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
LAST_LINES = 12


@dataclass(frozen=True, slots=True)
class Result:
    """How a program ended and what it said."""

    code: int
    output: str
    errors: str

    @property
    def succeeded(self) -> bool:
        """Whether the program ended with exit code 0."""
        return self.code == 0


def search_path() -> str:
    """The caller's PATH, completed with the folders of system programs."""
    folders = [folder for folder in os.environ.get("PATH", "").split(":") if folder]
    return ":".join([*folders, *(folder for folder in SYSTEM_FOLDERS if folder not in folders)])


def attempt(
    command: Sequence[str | Path],
    *,
    text: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    seconds: float | None = None,
) -> Result:
    """Run `command` and report its result; a missing or slow program is a failure too."""
    variables = {**os.environ, "PATH": search_path(), **(environment or {})}
    try:
        done = subprocess.run(
            [str(word) for word in command],
            input=text if text is not None else "",
            env=variables,
            cwd=folder,
            timeout=seconds,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as problem:
        return Result(code=127, output="", errors=f"{problem.filename}: not found")
    except subprocess.TimeoutExpired:
        return Result(code=124, output="", errors=f"no end after {seconds:.0f} s")
    return Result(code=done.returncode, output=done.stdout, errors=done.stderr)


def run(
    command: Sequence[str | Path],
    *,
    text: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    seconds: float | None = None,
    called: str = "",
) -> str:
    """Run `command`, return what it printed, and raise with its last lines where it fails.

    `called` stands for a command in the error that is too long to be read.
    """
    result = attempt(command, text=text, environment=environment, folder=folder, seconds=seconds)
    if not result.succeeded:
        raise SetupError(describe_failure([called] if called else command, result))
    return result.output


def describe_failure(command: Sequence[str | Path], result: Result) -> str:
    """The command as one could type it, its exit code and the end of what it said."""
    said = (result.errors.strip() or result.output.strip()).splitlines()[-LAST_LINES:]
    words = shlex.join(str(word) for word in command) if len(command) > 1 else str(command[0])
    return "\n  ".join([f"`{words}` failed with exit code {result.code}:", *said])
