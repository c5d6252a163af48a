"""Dataset versions on a real S3 server: byte for byte, pinned, visible only on success."""

import asyncio
import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS, PODS
from gradient_operator.workflow.references import version_id
from tests.e2e.cluster import Cluster, script
from tests.waiting import eventually


def dataset(name: str) -> dict[str, Any]:
    return {"type": "dataset", "with": {"ref": name}}


def odd_tree(folder: Path) -> None:
    """Names, links and sizes that plain object storage loses."""
    (folder / "empty" / "deep").mkdir(parents=True)
    (folder / "sub").mkdir()
    for name in ("ünï code", "new\nline", "a b", "-rf", "%25", "emoji 🦀", ".hidden", "q'\"uote"):
        (folder / "sub" / name).write_text(name)
    (folder / os.fsdecode(b"not-utf8-\xff\xfe")).write_bytes(b"\x00\xff")
    (folder / "zero").touch()
    (folder / "tool").write_text("#!/bin/sh\n")
    (folder / "tool").chmod(0o755)
    (folder / "link").symlink_to("sub/a b")
    (folder / "dangling").symlink_to("/no/such/place")
    source = random.Random(42)
    with (folder / "large").open("wb") as file:
        for _ in range(100):
            file.write(source.randbytes(1 << 20))


def tree_of(folder: Path) -> dict[bytes, object]:
    """Everything that a version keeps of a folder."""
    found: dict[bytes, object] = {}
    top = os.fsencode(folder)
    for base, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(base, name)
            key = os.path.relpath(path, top)
            if os.path.islink(path):
                found[key] = ("link", os.readlink(path))
            elif os.path.isdir(path):
                found[key] = "folder"
            else:
                data = Path(os.fsdecode(path)).read_bytes()
                executable = bool(os.stat(path).st_mode & 0o111)
                found[key] = (len(data), hashlib.sha256(data).hexdigest(), executable)
    return found


async def test_a_dataset_makes_the_round_trip_byte_for_byte(
    cluster: Cluster, tmp_path: Path
) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    source.mkdir()
    odd_tree(source)
    put = cluster.gradient("dataset", "put", str(source), "odd")
    assert "odd" in put.stdout + put.stderr
    await cluster.start(
        "round-trip",
        {
            "copy": script(
                "set -e; cp -a /inputs/odd/. /outputs/odd-copy/; ! touch /inputs/odd/x 2>/dev/null",
                inputs={"odd": dataset("odd")},
                outputs={"odd-copy": dataset("odd-copy")},
            ),
        },
    )
    status = await cluster.succeeded("round-trip")
    cluster.gradient("dataset", "get", "odd-copy", str(back))
    assert tree_of(back) == tree_of(source)
    pinned = status["inputs"]["odd"]
    output = status["jobs"]["copy"]["outputs"]["odd-copy"]
    assert output["digest"] == pinned["digest"], "the same files are the same version"
    version = await cluster.client.get(
        DATASET_VERSIONS,
        name=f"odd-copy-{version_id(output['digest'])}",
        namespace=cluster.namespace,
    )
    assert version["spec"]["origin"]["job"] == "copy"
    assert version["spec"]["origin"]["inputs"] == [f"{cluster.namespace}/odd:{pinned['version']}"]
    listed = cluster.gradient("dataset", "list").stdout
    assert "odd-copy" in listed
    files = cluster.gradient("dataset", "files", "odd-copy").stdout
    assert "large" in files
    assert cluster.gradient("dataset", "cat", "odd-copy", "sub/a b").stdout == "a b"
    cluster.gradient("dataset", "get", "odd-copy", str(tmp_path / "part"), "sub", "tool")
    parts = {path.name for path in (tmp_path / "part").iterdir()}
    assert parts == {"sub", "tool"}
    exported = cluster.gradient("dataset", "export", "odd", "s3://plain/odd", check=False)
    assert exported.returncode == 1
    assert "left out  dangling is a link" in exported.stderr
    cluster.gradient("dataset", "import", "s3://plain/odd", "odd-plain")
    assert "sub/a b" in cluster.gradient("dataset", "files", "odd-plain").stdout


async def test_a_version_says_how_it_was_made(cluster: Cluster) -> None:
    await cluster.start(
        "told", {"make": script("echo 1 >/outputs/d/x", outputs={"d": dataset("told")})}
    )
    await cluster.succeeded("told")

    async def told() -> dict[str, Any]:
        words = ("dataset", "provenance", "told", "-o", "json")
        done = await asyncio.to_thread(cluster.gradient, *words, check=False)
        assert done.returncode == 0, done.stderr
        statement: dict[str, Any] = json.loads(done.stdout)[0]["statement"]
        return statement

    predicate = (await eventually(told, seconds=60))["predicate"]
    (main,) = predicate["buildDefinition"]["resolvedDependencies"]
    (uploader,) = predicate["runDetails"]["builder"]["builderDependencies"]
    (pod,) = (await cluster.pods("told")).values()
    status = pod["status"]
    image_of = {
        item["name"]: item["imageID"].rpartition("sha256:")[2]
        for item in (*status["containerStatuses"], *status["initContainerStatuses"])
    }
    found = {item["name"]: item["digest"]["sha256"] for item in (main, uploader)}
    assert found == image_of


async def test_versions_are_pinned_at_the_start_and_handed_on_exactly(cluster: Cluster) -> None:
    await cluster.start(
        "first", {"make": script("echo one >/outputs/d/x", outputs={"d": dataset("pinned")})}
    )
    await cluster.succeeded("first")
    await cluster.start(
        "second",
        {
            "make": script("echo two >/outputs/d/x", outputs={"d": dataset("pinned")}),
            "old": script(
                "test $(cat /inputs/d/x) = one", needs=["make"], inputs={"d": dataset("pinned")}
            ),
            "new": script(
                "test $(cat /inputs/d/x) = two", needs=["make"], inputs={"d": "make.outputs.d"}
            ),
        },
    )
    await cluster.succeeded("second")
    await cluster.start(
        "third",
        {"read": script("test $(cat /inputs/d/x) = two", inputs={"d": dataset("pinned:latest")})},
    )
    await cluster.succeeded("third")
    found = await cluster.client.get(DATASETS, name="pinned", namespace=cluster.namespace)
    assert found["status"]["versions"] == 2


async def test_a_failed_job_leaves_no_version_and_an_unwritten_output_an_empty_one(
    cluster: Cluster,
) -> None:
    await cluster.start(
        "half",
        {
            "fails": script("echo x >/outputs/d/x; exit 1", outputs={"d": dataset("failed")}),
            "idle": script("true", outputs={"d": dataset("idle")}),
            "reads": script(
                'test -z "$(ls -A /inputs/d)"', needs=["idle"], inputs={"d": "idle.outputs.d"}
            ),
        },
    )
    status = await cluster.ended("half")
    assert status["phase"] == "Failed"
    assert status["jobs"]["reads"]["phase"] == "Succeeded"
    listed = await cluster.client.list_all(DATASET_VERSIONS, namespace=cluster.namespace)
    assert [item["spec"]["dataset"] for item in listed.items] == ["idle"]


async def test_an_input_that_does_not_exist_is_refused_with_the_command_that_makes_it(
    cluster: Cluster,
) -> None:
    await cluster.start("absent", {"job": script("true", inputs={"d": dataset("absent")})})
    status = await cluster.ended("absent")
    assert status["phase"] == "Failed"
    assert "gradient dataset put" in status["message"]
    assert await cluster.pods("absent") == {}


async def test_a_manifest_that_was_tampered_with_fails_the_run_that_reads_it(
    cluster: Cluster,
) -> None:
    await cluster.start(
        "make", {"make": script("echo data >/outputs/d/x", outputs={"d": dataset("tampered")})}
    )
    status = await cluster.succeeded("make")
    digest = status["jobs"]["make"]["outputs"]["d"]["digest"]
    overwrite_manifest(cluster, digest)
    await cluster.start("read", {"read": script("true", inputs={"d": dataset("tampered")})})
    status = await cluster.ended("read")
    assert status["phase"] == "Failed"
    assert status["jobs"]["read"]["reason"] == "ManifestInvalid"
    assert "manifest" in status["jobs"]["read"]["message"]
    assert status["jobs"]["read"]["attempt"] == 1


def overwrite_manifest(cluster: Cluster, digest: str) -> None:
    """Put other bytes in the manifest's place, with the operator's own credentials."""
    code = (
        "from gradient_operator.config import load_config, DEFAULT_PATH\n"
        "from gradient_operator.controllers.storage import DefaultStore\n"
        "from gradient_operator.datasets.layout import manifest_key\n"
        f"store = DefaultStore(load_config(DEFAULT_PATH).storage)._open()\n"
        f"key = manifest_key('{digest}')\n"
        "store.put(key, bytes(store.get(key))[:-1] + b'x')\n"
    )
    cluster.kubectl(
        "-n",
        "gradient-system",
        "exec",
        "deployment/gradient-operator",
        "--",
        "/app/.venv/bin/python",
        "-c",
        code,
    )


async def test_an_output_of_100_000_files_is_kept_in_bounded_memory(cluster: Cluster) -> None:
    make = """
        import pathlib
        for folder in range(100):
            place = pathlib.Path(f"/outputs/many/{folder}")
            place.mkdir()
            for number in range(1000):
                (place / str(number)).write_text(f"{folder}/{number}")
    """
    text = "\n".join(line[8:] for line in make.splitlines())
    await cluster.start(
        "many",
        {
            "make": script(f"python3 - <<'END'\n{text}\nEND", outputs={"many": dataset("many")}),
            "count": script(
                "test $(find /inputs/many -type f | wc -l) = 100000",
                needs=["make"],
                inputs={"many": "make.outputs.many"},
            ),
        },
    )
    status = await cluster.succeeded("many", seconds=240)
    assert status["jobs"]["make"]["outputs"]["many"]["files"] == 100_000
    for pod in (await cluster.pods("many")).values():
        for container in pod["spec"]["initContainers"]:
            assert container["resources"]["limits"]["memory"] == "384Mi", "the kernel's own bound"


async def test_a_link_out_of_the_outputs_is_kept_as_a_link(cluster: Cluster) -> None:
    await cluster.start(
        "links",
        {
            "make": script(
                "ln -s /var/run/gradient/storage /outputs/d/keys",
                outputs={"d": dataset("links")},
            ),
            "read": script(
                "test -L /inputs/d/keys && test ! -e /inputs/d/keys",
                needs=["make"],
                inputs={"d": "make.outputs.d"},
            ),
        },
    )
    await cluster.succeeded("links")


async def test_finished_pods_are_free_of_our_finalizer_and_go_with_their_run(
    cluster: Cluster,
) -> None:
    await cluster.start("gone", {"job": script("true", outputs={"d": dataset("gone")})})
    await cluster.succeeded("gone")
    pod = (await cluster.pods("gone"))["job"]["metadata"]["name"]
    await cluster.until(
        PODS, pod, lambda item: "gradient.run/result" not in item["metadata"].get("finalizers", ())
    )
    cluster.kubectl("delete", "gradientrun", "gone", "--wait=true")
    cluster.kubectl("wait", "--for=delete", f"pod/{pod}", "--timeout=60s")
    assert await cluster.exists(DATASETS, "gone"), "datasets outlive the run that made them"
