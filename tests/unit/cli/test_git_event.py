"""`context.event.github` in files that people run themselves: the clone they stand in answers."""

import subprocess

import pytest

from gradient_operator.cli.git_event import with_event

SPEC = {
    "jobs": {
        "Clone": {
            "with": {"url": "context.event.github.url", "ref": "context.event.github.ref"},
        }
    }
}


def git(directory, *arguments):
    subprocess.run(
        ["git", "-C", str(directory), "-c", "user.name=n", "-c", "user.email=e@x", *arguments],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def clone(tmp_path):
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    return tmp_path


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://example.com/lab/code.git", "https://example.com/lab/code.git"),
        ("git@example.com:lab/code.git", "https://example.com/lab/code.git"),
        ("ssh://git@example.com/lab/code.git", "https://example.com/lab/code.git"),
        ("https://me:s3cret@example.com/lab/code", "https://example.com/lab/code"),
    ],
)
def test_url_and_commit_are_those_of_the_clone_without_passwords(clone, remote, url):
    git(clone, "remote", "add", "origin", remote)
    spec, said = with_event(SPEC, clone)
    github = spec["context"]["event"]["github"]
    assert github["url"] == url
    assert len(github["ref"]) == 40
    assert url in said
    assert "s3cret" not in said


def test_what_the_file_says_itself_wins(clone):
    git(clone, "remote", "add", "origin", "https://example.com/a")
    given = {**SPEC, "context": {"event": {"github": {"url": "https://example.com/b"}}, "x": 1}}
    spec, _ = with_event(given, clone)
    assert spec["context"]["event"]["github"]["url"] == "https://example.com/b"
    assert spec["context"]["x"] == 1


def test_files_that_do_not_ask_and_places_that_are_no_clone_stay_as_they_are(
    clone, tmp_path_factory
):
    assert with_event({"jobs": {"a": {"with": {"url": "https://x"}}}}, clone)[1] == ""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert with_event(SPEC, elsewhere) == (SPEC, "")


def test_without_git_nothing_is_filled_in(clone, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert with_event(SPEC, clone) == (SPEC, "")


def test_a_run_from_a_clone_knows_its_event(gradient, client, clone):
    from gradient_operator.kube.resources import RUNS, WORKFLOWS

    git(clone, "remote", "add", "origin", "git@example.com:lab/code.git")
    file = clone / "w.yaml"
    file.write_text(
        "jobs:\n  Clone:\n    resources: {instance-type: C4}\n    outputs: {repo: {type: volume}}\n"
        "    uses: git-checkout@v1\n    with: {url: context.event.github.url}\n"
    )
    code, _, err = gradient("run", str(file))
    (run,) = client.of(RUNS).values()
    assert code == 0
    context = {"event": {"github": {"url": "https://example.com/lab/code.git"}}}
    assert run["spec"]["definition"]["context"] == context
    assert "context" not in client.of(WORKFLOWS)["w"]["spec"]
    assert "from this clone" in err
