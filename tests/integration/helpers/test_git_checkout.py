"""`git-checkout@v1` against a real git server: names and passwords, submodules, LFS, and traps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.helpers.git_server import PASSWORD, USER, GitServer, git, serve
from tests.integration.helpers.processes import COMMAND, LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

needs_lfs = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="install git-lfs")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with serve(tmp_path / "served") as made:
        yield made


@pytest.fixture
def other(tmp_path: Path) -> Iterator[GitServer]:
    """A server of somebody else's."""
    with serve(tmp_path / "other") as made:
        yield made


def run(root: Path, url: str, **variables: str) -> tuple[int, str, dict[str, str]]:
    """Run the helper; returns exit code, log and termination message."""
    message = root / "message"
    message.write_text("{}")
    environment = {
        "GRADIENT_GIT_URL": url,
        "GRADIENT_GIT_PATH": str(root / "repo"),
        "GRADIENT_TERMINATION_LOG": str(message),
    }
    done = subprocess.run(
        [*COMMAND, "git-checkout"],
        env=os.environ | environment | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
    log = done.stdout + done.stderr
    kept = (root / "repo/.git/config").read_text() if done.returncode == 0 else ""
    assert PASSWORD not in log + message.read_text() + kept
    return done.returncode, log, json.loads(message.read_text())


@pytest.mark.parametrize(
    "given",
    [
        {"GRADIENT_GIT_USERNAME": USER, "GRADIENT_GIT_PASSWORD": PASSWORD},
        {"GRADIENT_GIT_PASSWORD": PASSWORD},
        {"GRADIENT_GIT_USERNAME": PASSWORD},
        {"GIT_USERNAME": USER, "GIT_PASSWORD": PASSWORD + "\n"},
        {"GIT_PASSWORD": PASSWORD},
        {"in the URL": "t0ken%2Fwith+signs@"},
        {"in the URL": "robot:t0ken%2Fwith+signs@"},
        {"in the URL": "$TOKEN@", "TOKEN": "t0ken%2Fwith+signs"},
    ],
    ids="+".join,
)
def test_a_private_repository_opens_to_whoever_may_see_it(server, tmp_path, given):
    server.make("private-x", file="mine")
    url = server.url("private-x").replace("://", "://" + given.get("in the URL", ""))
    code, log, _ = run(
        tmp_path, url, **{key: text for key, text in given.items() if " " not in key}
    )
    assert code == 0, log
    assert (tmp_path / "repo/file").read_text() == "mine"


@pytest.mark.parametrize("given", [{}, {"GRADIENT_GIT_PASSWORD": "wrong"}])
def test_a_private_repository_is_closed_to_others(server, tmp_path, given):
    server.make("private-x", file="mine")
    code, log, message = run(tmp_path, server.url("private-x"), **given)
    assert (code, message["reason"]) == (1, "GitAuthenticationFailed"), log
    assert "set username and password" in message["error"]


def test_every_kind_of_ref_is_found(server, tmp_path):
    work = server.make("x", file="one")
    first = git(work, "rev-parse", "HEAD")
    git(work, "tag", "--annotate", "v1", "--message", "v1")
    git(work, "branch", "feature/new-ai")
    server.commit(work, "two", file="two")
    wanted = {
        "": "two",
        "main": "two",
        "refs/heads/main": "two",
        "feature/new-ai": "one",
        "v1": "one",
        "refs/tags/v1": "one",
        first: "one",
        first[:7]: "one",
        "$GIT_REF": "one",
    }
    for number, (ref, content) in enumerate(wanted.items()):
        root = tmp_path / str(number)
        root.mkdir()
        code, log, _ = run(root, server.url("x"), GRADIENT_GIT_REF=ref, GIT_REF="v1")
        assert (code, (root / "repo/file").read_text()) == (0, content), log
        assert git(root / "repo", "rev-list", "--count", "--all") == "2", "history is whole"


def test_an_attempt_that_was_ended_is_begun_anew(server, tmp_path):
    server.make("x", file="mine")
    target = tmp_path / "repo"
    git(tmp_path, "init", "--quiet", str(target))
    (target / ".git/gradient-unfinished").touch()
    (target / "half").write_text("a")
    (target / "folder").mkdir()
    code, log, _ = run(tmp_path, server.url("x"))
    assert code == 0, log
    assert {path.name for path in target.iterdir()} == {".git", "file"}
    code, _, message = run(tmp_path, server.url("x"))
    assert (code, message["reason"]) == (1, "TargetNotEmpty"), "a finished one is left alone"


def head(work: Path) -> str:
    return git(work, "rev-parse", "HEAD")


def test_submodules_come_along_with_the_credentials_of_their_host_alone(server, other, tmp_path):
    deep = server.make("private-deep", file="deep")
    below = server.make("private-below", file="below")
    server.add_submodules(below, ("deep", "../private-deep.git", head(deep)))
    public = other.make("public", file="public")
    top = server.make("private-top", file="top")
    host = server.address.partition(":")[0]
    server.add_submodules(
        top,
        ("below", "../private-below.git", head(below)),
        ("public", other.url("public"), head(public)),
        ("by-key", f"git@{host}:private-deep.git", head(deep)),
    )
    code, log, _ = run(
        tmp_path,
        server.url("private-top"),
        GRADIENT_GIT_USERNAME=USER,
        GRADIENT_GIT_PASSWORD=PASSWORD,
    )
    assert code == 0, log
    assert "WARNING" not in log, log
    found = tmp_path / "repo"
    for name, content in {
        "file": "top",
        "below/file": "below",
        "below/deep/file": "deep",
        "public/file": "public",
        "by-key/file": "deep",
    }.items():
        assert (found / name).read_text() == content
    assert server.given
    assert not other.given, "another host was offered the credentials"


def test_a_submodule_out_of_reach_is_told_and_the_rest_is_there(server, other, tmp_path):
    hidden = other.make("private-hidden", file="hidden")
    top = server.make("top", file="top")
    server.add_submodules(top, ("lib", other.url("private-hidden"), head(hidden)))
    code, log, _ = run(tmp_path, server.url("top"), GRADIENT_GIT_PASSWORD=PASSWORD)
    assert code == 0, log
    assert "WARNING: not all submodules could be fetched" in log
    assert (tmp_path / "repo/file").read_text() == "top"
    assert not list((tmp_path / "repo/lib").iterdir())
    assert not other.given


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% {mark}",
        "file://{secret}",
        "{secret}",
        "--upload-pack=touch {mark}",
        "-u./payload",
        "fd::17",
    ],
)
def test_a_hostile_submodule_runs_nothing_and_reads_nothing(server, tmp_path, url):
    mark, secret = tmp_path / "mark", tmp_path / "secret"
    secret.mkdir()
    git(secret, "init", "--quiet")
    server.commit(secret, "secret", file="secret")
    top = server.make("top", file="top", payload=f"#!/bin/sh\ntouch {mark}\n")
    server.add_submodules(top, ("lib", url.format(mark=mark, secret=secret), head(secret)))
    code, log, _ = run(tmp_path, server.url("top"))
    assert code == 0, log
    assert "WARNING: not all submodules could be fetched" in log
    assert not mark.exists()
    assert not (tmp_path / "repo/lib/file").exists()


@pytest.mark.parametrize("name", ["../../modules", "-x", "..", "a/../../../x"])
def test_a_submodule_may_not_leave_its_place_by_its_name(server, tmp_path, name):
    lib = server.make("lib", file="lib")
    top = server.make("top", file="top")
    text = f'[submodule "{name}"]\n\tpath = lib\n\turl = {server.url("lib")}\n'
    (top / ".gitmodules").write_text(text)
    git(top, "add", ".gitmodules")
    git(top, "update-index", "--add", "--cacheinfo", f"160000,{head(lib)},lib")
    git(top, "commit", "--quiet", "--message", "submodule")
    server.publish(top)
    before = {path for path in tmp_path.rglob("*") if "repo" not in path.parts}
    code, log, _ = run(tmp_path, server.url("top"))
    assert code == 0, log
    after = {path for path in tmp_path.rglob("*") if "repo" not in path.parts}
    assert after - before <= {tmp_path / "message"}


def test_a_link_in_the_place_of_a_submodule_is_not_followed(server, tmp_path):
    """As CVE-2024-32002 has it: a link to .git where a submodule's folder should be."""
    hooked = server.make("hooked", file="x")
    (hooked / "hooks").mkdir()
    (hooked / "hooks/post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/mark\n")
    (hooked / "hooks/post-checkout").chmod(0o755)
    server.commit(hooked, "hook")
    top = server.make("top", file="top")
    (top / "a").symlink_to(".git")
    git(top, "add", "a")
    text = f'[submodule "x"]\n\tpath = A/modules/x\n\turl = {server.url("hooked")}\n'
    (top / ".gitmodules").write_text(text)
    git(top, "add", ".gitmodules")
    git(top, "update-index", "--add", "--cacheinfo", f"160000,{head(hooked)},A/modules/x")
    git(top, "commit", "--quiet", "--message", "trap")
    server.publish(top)
    run(tmp_path, server.url("top"))
    assert not (tmp_path / "mark").exists()


def test_odd_names_and_links_are_content(server, tmp_path):
    top = server.make("top", file="top")
    (top / "-rf").write_text("dash")
    (top / "ü b").write_text("text")
    (top / "out").symlink_to("/etc/passwd")
    server.commit(top, "odd")
    code, log, _ = run(tmp_path, server.url("top"))
    assert code == 0, log
    assert (tmp_path / "repo/-rf").read_text() == "dash"
    assert (tmp_path / "repo/out").is_symlink()


def with_lfs(server: GitServer, name: str, *, stored: bool = True) -> bytes:
    """A repository with one file in LFS; the commit is made without git-lfs."""
    data = b"weights" * 1000
    work = server.make(name, file="x")
    server.commit_large(work, "model.bin", data, stored=stored)
    return data


@needs_lfs
def test_files_in_lfs_are_fetched_with_the_same_credentials(server, tmp_path):
    data = with_lfs(server, "private-large")
    code, log, _ = run(tmp_path, server.url("private-large"), GRADIENT_GIT_PASSWORD=PASSWORD)
    assert code == 0, log
    assert "WARNING" not in log, log
    assert (tmp_path / "repo/model.bin").read_bytes() == data


@needs_lfs
def test_files_in_lfs_of_a_submodule_are_fetched(server, tmp_path):
    data = with_lfs(server, "large")
    lib = tmp_path / "served-work/large"
    top = server.make("top", file="top")
    server.add_submodules(top, ("lib", "../large.git", head(lib)))
    code, log, _ = run(tmp_path, server.url("top"))
    assert code == 0, log
    assert "WARNING" not in log, log
    assert (tmp_path / "repo/lib/model.bin").read_bytes() == data


@needs_lfs
def test_files_that_lfs_does_not_give_are_told(server, tmp_path):
    with_lfs(server, "large", stored=False)
    code, log, _ = run(tmp_path, server.url("large"))
    assert code == 0, log
    assert "WARNING: 1 files are kept in LFS, and not all could be fetched" in log
    assert "over its quota" in log
    assert (tmp_path / "repo/model.bin").read_text().startswith("version https://git-lfs")


def test_without_the_program_the_pointers_are_told(server, tmp_path):
    with_lfs(server, "large")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "sh"):
        (programs / name).symlink_to(shutil.which(name))
    code, log, _ = run(tmp_path, server.url("large"), PATH=str(programs))
    assert code == 0, log
    assert "WARNING: 1 files are kept in LFS" in log
    assert "git-lfs is not in this image" in log
