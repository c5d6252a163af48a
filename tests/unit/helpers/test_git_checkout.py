from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.errors import DatasetError, LocalDiskError
from gradient_operator.helpers import git as module
from gradient_operator.helpers.environment import SettingsError
from gradient_operator.helpers.git import Checkout, GitError, GitUnreachableError
from gradient_operator.helpers.git_checkout import clone, read_checkout, split_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    environment = os.environ | {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "test"), ("EMAIL", "test@example.com"))
    }
    return subprocess.run(
        ["git", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    ).stdout.strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """Two commits on `trunk`, the first tagged v1; a branch `feature/x`; a commit on no branch."""
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=trunk")
    for name in ("one", "two"):
        (folder / "file").write_text(name)
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message", name)
        if name == "one":
            git(folder, "tag", "v1")
            git(folder, "branch", "feature/x")
    (folder / "file").write_text("loose")
    git(folder, "commit", "--quiet", "--all", "--message", "loose")
    git(folder, "update-ref", "refs/pull/1/head", "HEAD")
    git(folder, "reset", "--quiet", "--hard", "HEAD^")
    return folder


def checkout(origin: Path, target: Path, ref: str = "") -> Path:
    clone(Checkout(url=str(origin), ref=ref, path=target, allow_file=True))
    return target


def test_default_branch_is_checked_out(
    origin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = checkout(origin, tmp_path / "outputs/repo")

    assert (target / "file").read_text() == "two"
    assert git(target, "branch", "--show-current") == "trunk"
    said = capsys.readouterr().out
    assert f"Cloning into '{target}'...\n" in said
    assert f"HEAD is now at {git(origin, 'rev-parse', 'trunk')} two" in said


@pytest.mark.parametrize(
    ("ref", "content", "branch"),
    [
        ("trunk", "two", "trunk"),
        ("refs/heads/trunk", "two", "trunk"),
        ("feature/x", "one", "feature/x"),
        ("v1", "one", ""),
        ("refs/tags/v1", "one", ""),
        ("refs/pull/1/head", "loose", ""),
    ],
)
def test_ref_may_be_branch_tag_or_full_name(
    origin: Path, tmp_path: Path, ref: str, content: str, branch: str
) -> None:
    target = checkout(origin, tmp_path / "repo", ref)

    assert (target / "file").read_text() == content
    assert git(target, "branch", "--show-current") == branch


def test_ref_may_be_a_commit_in_full_or_short(origin: Path, tmp_path: Path) -> None:
    commit = git(origin, "rev-parse", "v1")
    for name in (commit, commit[:8]):
        assert (checkout(origin, tmp_path / name, name) / "file").read_text() == "one"


def test_commit_on_no_branch_is_fetched_by_its_hash(origin: Path, tmp_path: Path) -> None:
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    commit = git(origin, "rev-parse", "refs/pull/1/head")

    assert (checkout(origin, tmp_path / "repo", commit) / "file").read_text() == "loose"


@pytest.mark.parametrize("ref", ["none", "-x", "--help", "0" * 40, "refs/pull/9/head", "v1..trunk"])
def test_unknown_ref_is_told(origin: Path, tmp_path: Path, ref: str) -> None:
    with pytest.raises(GitError) as caught:
        checkout(origin, tmp_path / "repo", ref)
    assert caught.value.reason == "GitRefNotFound"
    assert repr(ref) in str(caught.value)


def test_whole_history_is_there(origin: Path, tmp_path: Path) -> None:
    target = checkout(origin, tmp_path / "repo")

    assert git(target, "rev-list", "--count", "HEAD") == "2"
    assert git(target, "tag") == "v1"


def test_files_may_be_changed_by_all_users(origin: Path, tmp_path: Path) -> None:
    target = checkout(origin, tmp_path / "repo")

    assert (target / "file").stat().st_mode & 0o777 == 0o666
    assert (target / ".git").stat().st_mode & 0o777 == 0o777


def test_target_may_hold_lost_and_found_only(origin: Path, tmp_path: Path) -> None:
    (tmp_path / "repo/lost+found").mkdir(parents=True)
    checkout(origin, tmp_path / "repo")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("1")

    with pytest.raises(LocalDiskError, match="'mine'") as caught:
        checkout(origin, tmp_path / "full")
    assert caught.value.reason == "TargetNotEmpty"


def test_empty_repository_is_told(tmp_path: Path) -> None:
    (tmp_path / "origin").mkdir()
    git(tmp_path / "origin", "init", "--quiet")

    with pytest.raises(GitError) as caught:
        checkout(tmp_path / "origin", tmp_path / "repo")
    assert caught.value.reason == "GitRepositoryEmpty"


def test_missing_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(GitError) as caught:
        checkout(tmp_path / "none", tmp_path / "repo")
    assert caught.value.reason == "GitRepositoryNotFound"


@pytest.mark.parametrize("url", ["ext::sh -c 'touch hacked'", "/etc", "fd::17"])
def test_other_protocols_are_forbidden(tmp_path: Path, url: str) -> None:
    with pytest.raises(GitError) as caught:
        clone(Checkout(url=url, ref="", path=tmp_path / "repo"))
    assert caught.value.reason == "GitProtocolForbidden"


def test_url_cannot_become_an_option(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(DatasetError):
        clone(Checkout(url=f"--upload-pack=touch {mark}", ref="", path=tmp_path / "r"))
    assert not mark.exists()


def test_unreachable_server_is_tried_again_and_retryable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)

    with pytest.raises(GitUnreachableError) as caught:
        clone(Checkout(url="http://127.0.0.1:9/x.git", ref="", path=tmp_path / "repo"))
    assert caught.value.retryable
    assert pauses == [1.0, 2.0, 4.0]


class _Server(BaseHTTPRequestHandler):
    """Asks for credentials and remembers what it was given; has no repository."""

    seen: list[str]

    def do_GET(self) -> None:
        given = self.headers.get("Authorization")
        self.seen.append(given or "")
        self.send_response(404 if given else 401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []
    handler = type("Handler", (_Server,), {"seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"127.0.0.1:{http.server_port}", seen
        http.shutdown()
        thread.join()


def test_credentials_reach_the_server_but_no_argument_and_no_log(
    server: tuple[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    address, seen = server
    commands: list[str] = []
    original = module.Popen

    def popen(command: list[str], **more: object) -> object:
        commands.extend(command)
        return original(command, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(module, "Popen", popen)
    task = read_checkout(
        {
            "GRADIENT_GIT_URL": f"http://{address}/x.git",
            "GRADIENT_GIT_PATH": str(tmp_path / "repo"),
            "GRADIENT_GIT_USERNAME": "someone",
            "GRADIENT_GIT_PASSWORD": "s3cret$'\"token",
        }
    )

    with pytest.raises(GitError) as caught:
        clone(task)

    assert caught.value.reason == "GitRepositoryNotFound"
    wanted = base64.b64encode(b"someone:s3cret$'\"token").decode()
    assert seen[-1] == f"Basic {wanted}"
    shown = capfd.readouterr()
    assert "s3cret" not in " ".join([*commands, str(caught.value), repr(task), *shown])
    assert "s3cret" not in (tmp_path / "repo/.git/config").read_text()


def test_missing_credentials_are_told(server: tuple[str, list[str]], tmp_path: Path) -> None:
    address, _ = server
    with pytest.raises(GitError) as caught:
        clone(Checkout(url=f"http://{address}/x.git", ref="", path=tmp_path / "repo"))
    assert caught.value.reason == "GitAuthenticationFailed"
    assert "username" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://h/r.git", ("https://h/r.git", "", "")),
        ("https://u:p%40@h:8/r?x", ("https://h:8/r?x", "u", "p@")),
        ("https://name@h/r", ("https://h/r", "name", "")),
        ("ssh://git@h/r", ("ssh://git@h/r", "", "")),
        ("git@h:r.git", ("git@h:r.git", "", "")),
    ],
)
def test_credentials_are_taken_out_of_the_url(url: str, wanted: tuple[str, str, str]) -> None:
    assert split_credentials(url) == wanted


def test_variables_in_url_and_ref_are_replaced() -> None:
    task = read_checkout(
        {
            "GRADIENT_GIT_URL": "https://$HOST/${TEAM}/r.git ",
            "GRADIENT_GIT_REF": "$GIT_REF$UNKNOWN",
            "GRADIENT_GIT_PATH": "/outputs/repo",
            "HOST": "h",
            "TEAM": "t",
            "GIT_REF": "main",
        }
    )

    assert (task.url, task.ref) == ("https://h/t/r.git", "main$UNKNOWN")
    assert (task.username, task.password) == ("", "")


def test_token_in_the_url_is_used_as_password() -> None:
    task = read_checkout(
        {"GRADIENT_GIT_URL": "https://$T@h/r", "GRADIENT_GIT_PATH": "/o", "T": "token"}
    )

    assert (task.url, task.username, task.password) == ("https://h/r", "git", "token")


def test_a_name_in_the_url_belongs_to_a_password_that_is_given_apart() -> None:
    base = {"GRADIENT_GIT_URL": "https://alice@h/r", "GRADIENT_GIT_PATH": "/o"}
    task = read_checkout({**base, "GRADIENT_GIT_PASSWORD": "token"})
    assert (task.url, task.username, task.password) == ("https://h/r", "alice", "token")
    task = read_checkout({**base, "GRADIENT_GIT_PASSWORD": "t", "GRADIENT_GIT_USERNAME": "bob"})
    assert (task.username, task.password) == ("bob", "t")


@pytest.mark.parametrize(
    "change",
    [
        {"GRADIENT_GIT_URL": ""},
        {"GRADIENT_GIT_PATH": ""},
        {"GRADIENT_GIT_PATH": "relative"},
        {"GRADIENT_GIT_PASSWORD": "a\nb"},
    ],
)
def test_unusable_task_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        read_checkout({"GRADIENT_GIT_URL": "https://h/r", "GRADIENT_GIT_PATH": "/o"} | change)


def test_program_reports_its_exit_code_and_message(origin: Path, tmp_path: Path) -> None:
    message = tmp_path / "message"
    environment = os.environ | {
        "GRADIENT_GIT_ALLOW_FILE": "1",
        "GRADIENT_GIT_PATH": str(tmp_path / "repo"),
        "GRADIENT_GIT_REF": "nowhere",
        "GRADIENT_GIT_URL": str(origin),
        "GRADIENT_TERMINATION_LOG": str(message),
    }
    command = [sys.executable, "-m", "gradient_operator.helpers.main", "git-checkout"]

    failed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "GitRefNotFound" in message.read_text()

    environment |= {"GRADIENT_GIT_REF": "v1", "GRADIENT_GIT_PATH": str(tmp_path / "again")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith(f"Cloning into '{tmp_path}/again'...")
