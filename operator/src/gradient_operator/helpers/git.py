"""Runs the program git: with its credentials, its limits and its errors put into sentences.

Credentials reach git through its environment and are offered to the repository's own host alone;
they never stand in arguments, in URLs or in logs. What a repository says (its submodules, its LFS
server) may name other hosts, never other protocols or this machine's files.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from dataclasses import dataclass, field
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gradient_operator.datasets.errors import DatasetError, LocalDiskError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PROTOCOLS: Final = "http:https:git:ssh"
ATTEMPTS: Final = 4
_CREDENTIAL_HELPER: Final = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    '"$GRADIENT_GIT_USERNAME" "$GRADIENT_GIT_PASSWORD"; }; f'
)
_DISK_FULL: Final = "No space left on device"
_PLACES: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
"""A job may set them for its own git; they would turn this one away from its directory."""
_NETWORK: Final = re.compile(
    r"could not resolve host|failed to connect|couldn't connect|network is unreachable"
    r"|connection (timed out|refused|reset)|operation (timed out|too slow)|early eof|rpc failed"
    r"|hung up unexpectedly|unexpected disconnect|returned error: (5\d\d|429)"
    r"|ssl_read|gnutls_handshake|temporary failure",
    re.IGNORECASE,
)
_DENIED: Final = re.compile(
    r"authentication failed|could not read (username|password)|permission denied"
    r"|returned error: (401|403)|access denied|terminal prompts disabled",
    re.IGNORECASE,
)
_ABSENT: Final = re.compile(
    r"not found|does not appear to be a git repository|does not exist|returned error: 404",
    re.IGNORECASE,
)
_FORBIDDEN: Final = re.compile(
    r"transport '.*' not allowed|protocol .*not (supported|allowed)", re.IGNORECASE
)


class GitError(DatasetError):
    """Git could not do what it was asked for."""

    default_reason = "GitFailed"


class GitUnreachableError(DatasetError):
    """The repository's server could not be reached: worth trying again."""

    retryable = True
    default_reason = "GitUnreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """What to clone, and where to. `url` holds no credentials."""

    url: str
    ref: str
    path: Path
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    allow_file: bool = False


class Git:
    """Runs git in the directory of a task."""

    def __init__(self, task: Checkout) -> None:
        self._task = task
        self._variables = _variables(task)

    def __call__(self, *arguments: str) -> str:
        """Run git and return what it printed.

        Raises:
            GitError, GitUnreachableError: it failed.
        """
        code, output, errors = self._run(arguments)
        if code:
            raise self._failure(errors)
        return output.strip()

    def complaint(self, *arguments: str) -> str:
        """Run git, and return what it had against it; nothing if all went well.

        Raises:
            LocalDiskError: the disk is full.
        """
        code, _, errors = self._run(arguments)
        if not code:
            return ""
        if _DISK_FULL in errors:
            raise self._failure(errors)
        sys.stderr.write(errors)
        return " ".join(errors.split())[-400:] or f"exit code {code}"

    def remote(self, *arguments: str) -> None:
        """Run git, and again a few times while the server cannot be reached."""
        for attempt in range(ATTEMPTS):
            try:
                self(*arguments)
            except GitUnreachableError:
                if attempt + 1 == ATTEMPTS:
                    raise
                time.sleep(2.0**attempt)
            else:
                return

    def commit(self, name: str) -> str:
        """Return the commit that a name stands for, or nothing."""
        code, output, _ = self._run(
            ("rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}")
        )
        return "" if code else output.strip()

    def _run(self, arguments: Sequence[str]) -> tuple[int, str, str]:
        command = ["git", "-C", str(self._task.path), *arguments]
        try:
            with Popen(
                command, stdout=PIPE, stderr=PIPE, env=self._variables, text=True, errors="replace"
            ) as process:
                output, errors = process.communicate()
        except FileNotFoundError as error:
            raise GitError("The program git is not in this image.") from error
        if self._task.password:
            errors = errors.replace(self._task.password, "***")
        return process.returncode, output, errors

    def _failure(self, errors: str) -> DatasetError:
        sys.stderr.write(errors)
        detail = " ".join(errors.split())[-400:]
        url = self._task.url
        if _DISK_FULL in errors:
            return LocalDiskError(f"No space is left to clone {url}.", reason="DiskFull")
        if _FORBIDDEN.search(errors):
            return GitError(
                f"The URL {url} uses a protocol that is not allowed: use https, http, git or ssh.",
                reason="GitProtocolForbidden",
            )
        if _NETWORK.search(errors):
            return GitUnreachableError(f"The server of {url} cannot be reached from here: {detail}")
        if _DENIED.search(errors):
            return GitError(
                f"The server refused to show {url}: set username and password (an access token), "
                f"or correct them; a private repository looks the same. Git said: {detail}",
                reason="GitAuthenticationFailed",
            )
        if _ABSENT.search(errors):
            return GitError(
                f"There is no repository at {url}, or it is private: correct url, or set username "
                f"and password. Git said: {detail}",
                reason="GitRepositoryNotFound",
            )
        return GitError(f"Git failed on {url}: {detail}")


def _variables(task: Checkout) -> dict[str, str]:
    settings = _settings(task)
    variables = {name: value for name, value in os.environ.items() if name not in _PLACES}
    variables |= {
        "GIT_ALLOW_PROTOCOL": PROTOCOLS + (":file" if task.allow_file else ""),
        "GIT_ASKPASS": "",
        "GIT_CONFIG_COUNT": str(len(settings)),
        # Files in LFS are fetched when all else is in place (`git_extras`).
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new",
        "GIT_TERMINAL_PROMPT": "0",
        "GRADIENT_GIT_PASSWORD": task.password,
        "GRADIENT_GIT_USERNAME": task.username,
        "LC_ALL": "C",
    }
    for number, (key, value) in enumerate(settings):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables


def _settings(task: Checkout) -> list[tuple[str, str]]:
    """Git's configuration for this one process and those that it starts."""
    settings = [
        ("safe.directory", "*"),
        ("http.lowSpeedLimit", "1000"),
        ("http.lowSpeedTime", "60"),
        ("advice.detachedHead", "false"),
        ("credential.helper", ""),
        ("core.hooksPath", "/dev/null"),
    ]
    parts = urlsplit(task.url)
    if parts.scheme in {"http", "https"}:
        host = f"{parts.scheme}://{parts.netloc}"
        # Submodules are often named as their author reaches them: with a key, which is not here.
        settings += [
            (f"url.{host}/.insteadOf", f"git@{parts.hostname}:"),
            (f"url.{host}/.insteadOf", f"ssh://git@{parts.hostname}/"),
        ]
        if task.username or task.password:
            settings.append((f"credential.{host}.helper", _CREDENTIAL_HELPER))
    if shutil.which("git-lfs"):
        settings += [
            ("filter.lfs.process", "git-lfs filter-process"),
            ("filter.lfs.smudge", "git-lfs smudge -- %f"),
            ("filter.lfs.clean", "git-lfs clean -- %f"),
            ("filter.lfs.required", "true"),
        ]
    return settings
