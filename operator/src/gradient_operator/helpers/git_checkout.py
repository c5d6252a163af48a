"""Clones a repository into an output: what the action `git-checkout@v1` runs.

Git runs as a program of its own. Credentials reach it through its environment and are offered to
the repository's own host only; they never stand in arguments, in URLs or in logs.
"""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from gradient_operator.datasets.errors import DatasetError, LocalDiskError
from gradient_operator.datasets.tree import disk_errors
from gradient_operator.helpers.environment import SettingsError, expand
from gradient_operator.helpers.running import end_on_sigterm, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradient_operator.exits import ExitCode

PROTOCOLS: Final = "http:https:git:ssh"
ATTEMPTS: Final = 4
_CREDENTIAL_HELPER: Final = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    '"$GRADIENT_GIT_USERNAME" "$GRADIENT_GIT_PASSWORD"; }; f'
)
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


def main() -> ExitCode:
    """Clone what the environment names."""
    end_on_sigterm()
    return run(lambda: clone(read_checkout(os.environ)))


def read_checkout(variables: Mapping[str, str]) -> Checkout:
    """Read the task from environment variables, with `$NAME` and `${NAME}` in them replaced.

    Raises:
        SettingsError: a variable is missing or unusable.
    """
    url = expand(variables.get("GRADIENT_GIT_URL", ""), variables)
    path = variables.get("GRADIENT_GIT_PATH", "")
    if not url or not path.startswith("/"):
        raise SettingsError(
            "GRADIENT_GIT_URL and GRADIENT_GIT_PATH (an absolute path) must be set."
        )
    url, username, password = split_credentials(url)
    username = variables.get("GRADIENT_GIT_USERNAME") or username
    password = variables.get("GRADIENT_GIT_PASSWORD") or password
    if any(character in username + password for character in "\r\n\0"):
        raise SettingsError("The user name or password of the repository has a line break in it.")
    return Checkout(
        url=url,
        ref=expand(variables.get("GRADIENT_GIT_REF", ""), variables),
        path=Path(path),
        username=username or ("git" if password else ""),
        password=password,
        allow_file=variables.get("GRADIENT_GIT_ALLOW_FILE") == "1",
    )


def split_credentials(url: str) -> tuple[str, str, str]:
    """Take user name and password out of an HTTP URL."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or "@" not in parts.netloc:
        return url, "", ""
    user, _, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    if not password:  # https://TOKEN@host is the usual way to give a token alone
        name, password = "", name
    return urlunsplit(parts._replace(netloc=host)), unquote(name), unquote(password)


def clone(task: Checkout) -> None:
    """Clone into the directory, check out the ref and say which commit it is.

    Raises:
        GitError: git refused, the ref is unknown, or the repository is empty.
        GitUnreachableError: the server cannot be reached.
        LocalDiskError: the directory is not empty or cannot be written.
    """
    os.umask(0)
    _prepare(task.path)
    _say(f"Cloning into '{task.path}'...")
    git = _Git(task)
    git("init", "--quiet", "--initial-branch=main")
    git("remote", "add", "--", "origin", task.url)
    git.remote(
        "fetch", "--quiet", "--tags", "--force", "origin", "+refs/heads/*:refs/remotes/origin/*"
    )
    if task.ref:
        _check_out_ref(git, task.ref)
    else:
        _check_out_default(git)
    _say(git("log", "-1", "--no-show-signature", "--format=HEAD is now at %H %s"))


class _Git:
    """Runs git in one directory."""

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
        if "No space left on device" in errors:
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
    parts = urlsplit(task.url)
    settings = [
        ("safe.directory", "*"),
        ("http.lowSpeedLimit", "1000"),
        ("http.lowSpeedTime", "60"),
        ("advice.detachedHead", "false"),
        ("credential.helper", ""),
    ]
    if task.password and parts.scheme in {"http", "https"}:
        scope = f"credential.{parts.scheme}://{parts.netloc}.helper"
        settings.append((scope, _CREDENTIAL_HELPER))
    variables = dict(os.environ)
    variables |= {
        "GIT_ALLOW_PROTOCOL": PROTOCOLS + (":file" if task.allow_file else ""),
        "GIT_ASKPASS": "",
        "GIT_CONFIG_COUNT": str(len(settings)),
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


def _check_out_ref(git: _Git, ref: str) -> None:
    name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    if not ref.startswith("refs/tags/") and git.commit(f"refs/remotes/origin/{name}"):
        git("checkout", "--quiet", "--force", "-B", name, "--track", f"origin/{name}")
        return
    commit = git.commit(f"refs/tags/{name}") or _commit_by_hash(git, name)
    if not commit:
        raise GitError(
            f"The repository has no branch, tag or commit {ref!r}: correct ref.",
            reason="GitRefNotFound",
        )
    git("checkout", "--quiet", "--force", "--detach", commit)


def _commit_by_hash(git: _Git, name: str) -> str:
    """Find a commit by its hash, or anything else under its full name, on the server if need be."""
    is_hash = re.fullmatch(r"[0-9a-fA-F]{7,64}", name) is not None
    found = git.commit(name) if is_hash else ""
    if found or not (is_hash or name.startswith("refs/")):
        return found
    try:
        git.remote("fetch", "--quiet", "--no-tags", "origin", name)
    except GitError:
        return ""
    return git.commit("FETCH_HEAD")


def _check_out_default(git: _Git) -> None:
    if not git("for-each-ref", "--count=1", "refs/remotes/origin"):
        raise GitError(
            "The repository is empty: push a commit to it first.", reason="GitRepositoryEmpty"
        )
    git.remote("remote", "set-head", "origin", "--auto")
    branch = git("symbolic-ref", "--short", "refs/remotes/origin/HEAD").removeprefix("origin/")
    git("checkout", "--quiet", "--force", "-B", branch, "--track", f"origin/{branch}")


def _prepare(path: Path) -> None:
    with disk_errors(os.fsencode(path)):
        path.mkdir(mode=0o777, parents=True, exist_ok=True)
        others = sorted(item.name for item in path.iterdir() if item.name != "lost+found")
    if others:
        raise LocalDiskError(
            f"The directory {path} already holds {others[0]!r}: git-checkout needs an empty output "
            "of its own; set path to another folder.",
            reason="TargetNotEmpty",
        )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
