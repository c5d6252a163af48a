from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.result import ResultMessage, decode_message, decode_result
from tests.integration.helpers.processes import COMMAND, LONGEST, Pod, finish, wait_until
from tests.unit.datasets.trees import make_tree, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.seaweedfs import S3Server


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(root=tmp_path, location={"endpoint": f"file://{tmp_path}/bucket"})


@pytest.fixture(params=["local", pytest.param("seaweedfs", marks=pytest.mark.integration)])
def any_pod(request: pytest.FixtureRequest, tmp_path: Path) -> Pod:
    if request.param == "local":
        return Pod(root=tmp_path, location={"endpoint": f"file://{tmp_path}/bucket"})
    server: S3Server = request.getfixturevalue("seaweedfs")
    keys = server.write_credentials(tmp_path / "keys")
    return Pod(root=tmp_path, location=server.location(f"pods/{tmp_path.name}"), keys=keys)


def blobs(pod: Pod, part: str) -> list[Path]:
    folder = pod.root / "bucket/v1" / part
    return [path for path in folder.rglob("*") if path.is_file()]


def test_outputs_travel_from_one_pod_to_the_next(any_pod: Pod) -> None:
    pod = any_pod
    process = pod.start_upload("model", "gone", "unused", strings=("acc", "long", "none"))
    assert pod.wait_ready() == 0
    assert sorted(path.name for path in pod.outputs.iterdir()) == ["gone", "model", "unused"]
    assert all(path.stat().st_mode & 0o777 == 0o777 for path in pod.outputs.iterdir())
    make_tree(pod.outputs / "model", {b"a/b": b"1", b"run": ("x", b"2"), b"\xff": b"3"})
    (pod.outputs / "gone").rmdir()
    (pod.outputs / "acc").write_text("0.93\n")
    (pod.outputs / "long").write_text("ä" * 5000)

    code, log = finish(process)

    assert code == 0
    found = decode_message(json.dumps(pod.message))
    assert isinstance(found, ResultMessage)
    assert {name: version.files for name, version in found.outputs.items()} == {
        "gone": 0,
        "model": 3,
        "unused": 0,
    }
    assert (found.strings, found.long) == ({"acc": "0.93\n"}, ("long",))
    assert found.ref == "runs/pod-1/result.json"
    assert {"msg": "uploaded", "files": 3, "bytes": 3}.items() <= next(
        line for line in log if line.get("path") == str(pod.outputs / "model")
    ).items()

    fetched = pod.root / "fetched"
    done = pod.fetch(
        {"path": str(fetched / "model"), "digest": found.outputs["model"].digest, "bytes": 3},
        {"path": str(fetched / "copy"), "digest": found.outputs["model"].digest, "writable": True},
        {"path": str(fetched / "long"), "string": {"ref": found.ref, "name": "long"}},
        {"path": str(fetched / "acc"), "string": {"ref": found.ref, "name": "acc"}},
        {"path": str(fetched / "new"), "empty": True},
    )
    assert done.returncode == 0, done.stdout
    assert read_tree(fetched / "model") == read_tree(pod.outputs / "model")
    assert (fetched / "model/a").stat().st_mode & 0o777 == 0o755
    assert (fetched / "copy/a").stat().st_mode & 0o777 == 0o777
    assert (fetched / "copy/a/b").stat().st_mode & 0o777 == 0o666
    assert (fetched / "long").read_text() == "ä" * 5000
    assert (fetched / "acc").read_text() == "0.93\n"
    assert list((fetched / "new").iterdir()) == []
    assert json.loads(done.stdout.splitlines()[0])["total"] == 3


EARLY = """
import os, signal, sys
from gradient_operator.helpers import upload
upload.prepare_directory = lambda _: os.kill(os.getpid(), signal.SIGTERM)
sys.exit(upload.main())
"""


def test_signal_before_readiness_is_not_lost(pod: Pod) -> None:
    task = {"directories": [{"name": "model", "path": str(pod.outputs / "model")}]}
    done = subprocess.run(
        [sys.executable, "-c", EARLY],
        env=pod.environment(GRADIENT_UPLOAD=task),
        check=False,
        timeout=LONGEST,
    )

    assert done.returncode == 0
    assert pod.message["outputs"]["model"]["files"] == 0


def test_second_signal_changes_nothing(pod: Pod) -> None:
    process = pod.start_upload("model")
    assert pod.wait_ready() == 0
    make_tree(pod.outputs / "model", {b"big": os.urandom(64 * 1024 * 1024)})
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: blobs(pod, "segments"), "the first segment is stored")
    process.send_signal(signal.SIGTERM)

    assert finish(process)[0] == 0
    assert pod.message["outputs"]["model"]["files"] == 1


def test_marker_of_an_earlier_start_does_not_count(pod: Pod) -> None:
    (pod.root / "ready").touch()
    pod.uid = "../other"
    process = pod.start_upload("model")
    process.communicate(timeout=LONGEST)

    assert process.returncode == 1
    assert pod.message["reason"] == "SettingsInvalid"
    assert not (pod.root / "ready").exists()


def test_links_are_stored_as_links_and_never_followed(pod: Pod) -> None:
    secret = make_tree(pod.root / "var/run/gradient/storage", {b"secretAccessKey": b"hidden"})
    process = pod.start_upload("model", strings=("acc",))
    assert pod.wait_ready() == 0
    make_tree(
        pod.outputs / "model",
        {b"x": ("l", os.fsencode(secret)), b"y": ("l", os.fsencode(secret / "secretAccessKey"))},
    )

    assert finish(process)[0] == 0
    version = pod.message["outputs"]["model"]
    assert (version["files"], version["bytes"]) == (0, 0)
    assert blobs(pod, "packs") == blobs(pod, "segments") == []
    done = pod.fetch({"path": str(pod.root / "back"), "digest": version["digest"]})
    assert done.returncode == 0
    assert (pod.root / "back/x").readlink() == secret


@pytest.mark.parametrize(
    ("spoil", "reason", "part"),
    [
        (lambda outputs: os.mkfifo(outputs / "model/pipe"), "SpecialFile", "'pipe'"),
        (lambda outputs: (outputs / "acc").write_bytes(b"\xff"), "StringUnacceptable", "UTF-8"),
        (
            lambda outputs: (outputs / "acc").symlink_to("/etc/hostname"),
            "StringUnacceptable",
            "link",
        ),
        (
            lambda outputs: (outputs / "acc").write_text("x" * 70_000),
            "StringUnacceptable",
            "64 KiB",
        ),
    ],
)
def test_unacceptable_outputs_end_with_65(pod: Pod, spoil: object, reason: str, part: str) -> None:
    process = pod.start_upload("model", strings=("acc",))
    assert pod.wait_ready() == 0
    spoil(pod.outputs)  # type: ignore[operator]

    assert finish(process)[0] == 65
    assert pod.message["reason"] == reason
    assert part in pod.message["error"]
    assert not blobs(pod, "runs")


def test_output_replaced_by_a_link_ends_with_65(pod: Pod) -> None:
    process = pod.start_upload("model")
    assert pod.wait_ready() == 0
    (pod.outputs / "model").rmdir()
    (pod.outputs / "model").symlink_to("/etc")

    assert finish(process)[0] == 65
    assert pod.message["reason"] == "OutputNotDirectory"


def test_message_shrinks_and_the_full_result_is_in_the_storage(pod: Pod) -> None:
    names = [f"output-number-{number}" for number in range(30)]
    process = pod.start_upload(*names, strings=("acc",))
    assert pod.wait_ready() == 0
    (pod.outputs / "acc").write_text("1")

    assert finish(process)[0] == 0
    message = pod.message
    assert message.pop("transfer").keys() == {"seconds"}
    assert message == {"v": 1, "ref": "runs/pod-1/result.json", "truncated": True}
    full = decode_result((pod.root / "bucket/v1/runs/pod-1/result.json").read_bytes())
    assert sorted(full.outputs) == sorted(names)
    assert full.strings == {"acc": "1"}


def stored(pod: Pod) -> str:
    """Store a version with one packed and one segmented file, and return its digest."""
    process = pod.start_upload("model")
    assert pod.wait_ready() == 0
    make_tree(pod.outputs / "model", {b"small": b"s" * 500, b"large": bytes(2 * 1024 * 1024)})
    assert finish(process)[0] == 0
    digest: str = pod.message["outputs"]["model"]["digest"]
    return digest


@pytest.mark.parametrize("part", ["packs", "segments", "manifests"])
def test_tampering_ends_with_67(pod: Pod, part: str) -> None:
    digest = stored(pod)
    (blob,) = blobs(pod, part)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)

    done = pod.fetch({"path": str(pod.root / "back"), "digest": digest})

    assert done.returncode == 67
    assert pod.message["reason"] in {"BlobCorrupt", "ManifestInvalid"}
    assert "changed or damaged" in pod.message["error"] or part == "manifests"


@pytest.mark.parametrize("part", ["packs", "segments", "manifests"])
def test_missing_input_ends_with_66(pod: Pod, part: str) -> None:
    digest = stored(pod)
    (blob,) = blobs(pod, part)
    blob.unlink()

    done = pod.fetch({"path": str(pod.root / "back"), "digest": digest})

    assert done.returncode == 66
    assert pod.message["reason"] == ("VersionMissing" if part == "manifests" else "BlobMissing")


def test_missing_string_ends_with_66(pod: Pod) -> None:
    stored(pod)
    for ref, reason in (
        ("runs/pod-1/result.json", "StringMissing"),
        ("runs/pod-2/result.json", "BlobMissing"),
    ):
        done = pod.fetch({"path": str(pod.root / "s"), "string": {"ref": ref, "name": "none"}})
        assert done.returncode == 66
        assert pod.message["reason"] == reason


def test_fetch_may_run_again_over_its_own_remains(pod: Pod) -> None:
    digest = stored(pod)
    item = {"path": str(pod.root / "back"), "digest": digest}
    make_tree(pod.root / "back", {b"small": b"half", b"other/x": b"1"})

    assert pod.fetch(item).returncode == pod.fetch(item).returncode == 0
    assert read_tree(pod.root / "back") == read_tree(pod.outputs / "model")


def test_upload_may_run_twice(pod: Pod) -> None:
    first = stored(pod)
    before = {path: path.stat().st_mtime_ns for path in blobs(pod, "segments")}

    assert stored_again(pod) == first
    assert {path: path.stat().st_mtime_ns for path in blobs(pod, "segments")} == before


def stored_again(pod: Pod) -> str:
    pod.uid = "pod-2"
    (pod.root / "ready").unlink()
    process = pod.start_upload("model")
    assert pod.wait_ready() == 0
    assert finish(process)[0] == 0
    digest: str = pod.message["outputs"]["model"]["digest"]
    return digest


@pytest.mark.parametrize(
    "variables",
    [
        {"GRADIENT_STORAGE": "{}"},
        {"GRADIENT_STORAGE": ""},
        {"GRADIENT_FETCH": "nonsense"},
        {"GRADIENT_RETRY_SECONDS": "soon"},
    ],
)
def test_unusable_settings_end_with_1_and_are_named(pod: Pod, variables: dict[str, str]) -> None:
    done = subprocess.run(
        [*COMMAND, "fetch"],
        env=pod.environment(**({"GRADIENT_FETCH": "[]"} | variables)),
        check=False,
        capture_output=True,
        timeout=LONGEST,
    )

    assert done.returncode == 1
    assert pod.message["reason"] == "SettingsInvalid"
    assert next(iter(variables)) in pod.message["error"]
