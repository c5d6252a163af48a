"""Clones a repository into an output: what the action `git-checkout@v1` runs.

The clone is whole, with all branches, tags and history: the jobs that use it have neither the
credentials nor, often, the way to fetch what is missing.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from gradient_operator.datasets.errors import LocalDiskError
from gradient_operator.datasets.tree import disk_errors
from gradient_operator.helpers.environment import SettingsError, expand
from gradient_operator.helpers.git import Checkout, Git, GitError
from gradient_operator.helpers.git_extras import fetch_large_files, fetch_submodules
from gradient_operator.helpers.running import end_on_sigterm, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradient_operator.exits import ExitCode

_UNFINISHED: Final = "gradient-unfinished"
"""A file in `.git` while the clone is under way: another attempt may throw it away."""


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
    # The names without prefix are those of the first version of the format.
    names = ("GRADIENT_GIT_USERNAME", "GIT_USERNAME"), ("GRADIENT_GIT_PASSWORD", "GIT_PASSWORD")
    given = [next(filter(None, map(variables.get, each)), "").strip() for each in names]
    if username and not password and not any(given):
        # https://TOKEN@host is the usual way to give a token alone.
        username, password = "", username
    username, password = given[0] or username, given[1] or password
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
    git = Git(task)
    git("init", "--quiet", "--initial-branch=main")
    mark = task.path / ".git" / _UNFINISHED
    mark.touch()
    git("remote", "add", "--", "origin", task.url)
    git.remote(
        "fetch", "--quiet", "--tags", "--force", "origin", "+refs/heads/*:refs/remotes/origin/*"
    )
    if task.ref:
        _check_out_ref(git, task.ref)
    else:
        _check_out_default(git)
    fetch_large_files(git)
    fetch_submodules(git)
    mark.unlink()
    _say(git("log", "-1", "--no-show-signature", "--format=HEAD is now at %H %s"))


def _check_out_ref(git: Git, ref: str) -> None:
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


def _commit_by_hash(git: Git, name: str) -> str:
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


def _check_out_default(git: Git) -> None:
    if not git("for-each-ref", "--count=1", "refs/remotes/origin"):
        raise GitError(
            "The repository is empty: push a commit to it first.", reason="GitRepositoryEmpty"
        )
    git.remote("remote", "set-head", "origin", "--auto")
    branch = git("symbolic-ref", "--short", "refs/remotes/origin/HEAD").removeprefix("origin/")
    git("checkout", "--quiet", "--force", "-B", branch, "--track", f"origin/{branch}")


def _prepare(path: Path) -> None:
    """Make the directory, or empty it of a clone that an earlier attempt did not finish.

    Raises:
        LocalDiskError: something else is in it.
    """
    with disk_errors(os.fsencode(path)):
        path.mkdir(mode=0o777, parents=True, exist_ok=True)
        others = sorted(item.name for item in path.iterdir() if item.name != "lost+found")
        if (path / ".git" / _UNFINISHED).is_file():
            for name in others:
                _remove(path / name)
            return
    if others:
        raise LocalDiskError(
            f"The directory {path} already holds {others[0]!r}: git-checkout needs an empty output "
            "of its own; set path to another folder.",
            reason="TargetNotEmpty",
        )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
