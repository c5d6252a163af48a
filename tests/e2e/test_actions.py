"""The actions that run our own image, against servers in the cluster."""

import base64
import json
from typing import Any

import pytest

from tests.e2e.cluster import IMAGE, ROOT, Cluster, script
from tests.integration.helpers.git_server import PASSWORD

ENDPOINT = "http://seaweedfs.gradient-system.svc:8333"
CPU = {"resources": {"instance-type": "C4"}}
BUCKET = "gradient"


def put_objects(cluster: Cluster, folder: str) -> None:
    """Objects in the cluster's own store, written with the operator's credentials."""
    code = (
        "import random, obstore\n"
        "from gradient_operator.config import load_config, DEFAULT_PATH\n"
        "from gradient_operator.controllers.storage import DefaultStore\n"
        "store = DefaultStore(load_config(DEFAULT_PATH).storage)._open()._backend\n"
        "source = random.Random(7)\n"
        f"store.put('{folder}/large.bin', source.randbytes(20 << 20), create=False)\n"
        f"store.put('{folder}/deep/er/note.txt', b'hello', create=False)\n"
        f"store.put('{folder}/empty', b'', create=False)\n"
        f"[store.put(f'{folder}/many/{{n}}', str(n).encode(), create=False) for n in range(200)]\n"
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


@pytest.fixture
def source(cluster: Cluster) -> str:
    """A folder in the bucket, and its keys in the namespace's Secret of values."""
    folder = f"e2e/{cluster.namespace}"
    put_objects(cluster, folder)
    found = cluster.kubectl(
        "-n", "gradient-system", "get", "secret", "gradient-storage-default", "-o", "json"
    )
    data: dict[str, str] = json.loads(found.stdout)["data"]
    keys = {key: base64.b64decode(text).decode() for key, text in data.items()}
    cluster.kubectl(
        "create",
        "secret",
        "generic",
        "gradient-secrets",
        f"--from-literal=S3_ID={keys['accessKeyId']}",
        f"--from-literal=S3_KEY={keys['secretAccessKey']}",
        "--from-literal=WRONG=wrong",
    )
    return folder


def download(folder: str, output: dict[str, Any], **change: str) -> dict[str, Any]:
    return {
        **CPU,
        "uses": "s3-download@v1",
        "env": {"FOLDER": folder},
        "outputs": {"data": output},
        "with": {
            "url": f"s3://{BUCKET}/$FOLDER/",
            "endpoint": ENDPOINT,
            "access-key": "secret:S3_ID",
            "secret-access-key": "secret:S3_KEY",
            **change,
        },
    }


CHECK = """
set -e
test "$(cat /inputs/data/deep/er/note.txt)" = hello
test "$(ls /inputs/data/many | wc -l)" = 200
test -f /inputs/data/empty && test ! -s /inputs/data/empty
sha256sum /inputs/data/large.bin
"""


async def test_a_bucket_is_copied_into_a_dataset_and_into_a_volume(
    cluster: Cluster, source: str
) -> None:
    dataset = {"type": "dataset", "with": {"ref": "copied"}}
    await cluster.start(
        "copy",
        {
            "to-dataset": download(source, dataset),
            "to-volume": download(source, {"type": "volume"}),
            "dataset": script(
                CHECK, needs=["to-dataset"], inputs={"data": "to-dataset.outputs.data"}
            ),
            "volume": script(
                CHECK + "touch /inputs/data/mine",
                needs=["to-volume"],
                inputs={"data": "to-volume.outputs.data"},
            ),
            "one": download(
                f"{source}/deep/er/note.txt",
                {"type": "volume"},
                url=f"s3://{BUCKET}/$FOLDER",
                path="/outputs/data/sub",
            ),
            "read-one": script(
                "test $(cat inputs/data/sub/note.txt) = hello",
                needs=["one"],
                inputs={"data": "one.outputs.data"},
            ),
        },
    )
    status = await cluster.succeeded("copy", seconds=180)
    assert status["jobs"]["to-dataset"]["outputs"]["data"]["files"] == 203
    sums = {(await cluster.log("copy", name)).split()[0] for name in ("dataset", "volume")}
    assert len(sums) == 1
    log = await cluster.log("copy", "to-dataset")
    assert "Downloaded 203 files, 20.0 MiB" in log
    pods = await cluster.pods("copy")
    shown = json.dumps(pods["to-dataset"]["spec"])
    key = cluster.kubectl("get", "secret", "gradient-secrets", "-o", "jsonpath={.data.S3_KEY}")
    assert base64.b64decode(key.stdout).decode() not in shown + log
    others = json.dumps([pod["spec"] for job, pod in pods.items() if job in {"dataset", "volume"}])
    assert "S3_KEY" not in others


async def test_what_is_wrong_with_a_download_is_the_message_of_the_job(
    cluster: Cluster, source: str
) -> None:
    volume = {"type": "volume"}
    await cluster.start(
        "wrong",
        {
            "key": download(source, volume, **{"secret-access-key": "secret:WRONG"}),
            "bucket": download(source, volume, url="s3://no-such-bucket/x/"),
            "nothing": download(source, volume, url=f"s3://{BUCKET}/none/"),
        },
    )
    status = await cluster.ended("wrong")
    jobs = status["jobs"]
    assert status["phase"] == "Failed"
    assert "correct secret-access-key" in jobs["key"]["message"]
    assert "correct url or endpoint" in jobs["bucket"]["message"]
    assert jobs["nothing"]["reason"] == "S3Empty"
    assert {job["attempt"] for job in jobs.values()} == {1}


async def test_places_are_what_files_of_the_hosted_service_expect(cluster: Cluster) -> None:
    """Paths, writable folders, the working directory, outputs that nobody writes."""
    volume, dataset = {"type": "volume"}, {"type": "dataset", "with": {"ref": "unwritten"}}
    write = """
        set -e
        cd /
        mkdir /inputs/made-here && touch /inputs/made-here/x
        touch /outputs/lost
        mkdir -p /outputs/repo/models outputs/repo/data
        test -d /outputs/never && test -d outputs/repo
        rm -rf /outputs/repo/*
        echo code >/outputs/repo/train.py
        ln -s train.py /outputs/repo/link
    """
    use = """
        set -e
        cd /inputs/repo
        mkdir -p results
        echo 0.9 >results/accuracy
        mv train.py trained.py
        cp -R /inputs/repo /outputs
        cd / && cp -R inputs/repo /tmp
        cat <<'END' >/inputs/repo/note
        $HOME is not expanded, nor is $(this) or ${{ that }}
END
        test "$PRICE" = '$5 and $(HOME) and $$'
        test "$NUMBER" = 10
    """
    later = """
        set -e
        test -f /inputs/repo/results/accuracy
        grep -q 'nor is $(this) or ${{ that }}' /inputs/repo/note
        test -f /inputs/copy/trained.py
        test -z "$(ls -A /inputs/nothing)"
        ! touch /inputs/nothing/x
    """
    await cluster.start(
        "places",
        {
            "write": script(
                write, outputs={"repo": volume, "never": dataset, "text": {"type": "string"}}
            ),
            "use": script(
                use,
                needs=["write"],
                env={"PRICE": "$5 and $(HOME) and $$", "NUMBER": "10"},
                inputs={"repo": "write.outputs.repo"},
                outputs={"repo": volume},
            ),
            "later": script(
                later,
                needs=["use"],
                inputs={
                    "repo": "write.outputs.repo",
                    "copy": "use.outputs.repo",
                    "nothing": "write.outputs.never",
                },
            ),
        },
    )
    await cluster.succeeded("places")


GIT_SERVER = """
import sys, threading
from pathlib import Path
sys.path.insert(0, "/program")
from git_server import git, serve

with serve(Path("/tmp/served"), host="git-server", port=8080) as server:
    lib = server.make("private-lib", file="lib")
    top = server.make("private-top", file="one")
    git(top, "tag", "v1")
    server.commit(top, "two", file="two")
    server.commit_large(top, "model.bin", b"weights" * 1000)
    commit = git(lib, "rev-parse", "HEAD")
    server.add_submodules(top, ("lib", "../private-lib.git", commit))
    print("ready", flush=True)
    threading.Event().wait()
"""


@pytest.fixture
def git_server(cluster: Cluster) -> str:
    """A server with private repositories in the namespace; returns the URL of one."""
    program = ROOT / "tests" / "integration" / "helpers" / "git_server.py"
    data = {"git_server.py": program.read_text(), "main.py": GIT_SERVER}
    labels = {"app": "git-server"}
    pod = {
        "containers": [
            {
                "name": "server",
                "image": IMAGE,
                "command": ["python3", "/program/main.py"],
                "ports": [{"containerPort": 8080}],
                "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
                "volumeMounts": [{"name": "program", "mountPath": "/program"}],
            }
        ],
        "volumes": [{"name": "program", "configMap": {"name": "git-server"}}],
    }
    objects = [
        {"kind": "ConfigMap", "data": data},
        {
            "kind": "Service",
            "spec": {"selector": labels, "ports": [{"port": 8080, "targetPort": 8080}]},
        },
        {"kind": "Pod", "spec": pod},
    ]
    for item in objects:
        metadata = {"name": "git-server", "labels": labels}
        body = {"apiVersion": "v1", "metadata": metadata, **item}
        cluster.kubectl("apply", "-f", "-", text=json.dumps(body))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/git-server", "--timeout=120s")
    cluster.kubectl(
        "create", "secret", "generic", "gradient-secrets", f"--from-literal=TOKEN={PASSWORD}"
    )
    return "http://git-server:8080/private-top.git"


async def test_a_private_repository_comes_with_submodules_and_files_in_lfs(
    cluster: Cluster, git_server: str
) -> None:
    def clone(**parameters: str) -> dict[str, Any]:
        given = {"url": git_server, "password": "secret:TOKEN", **parameters}
        outputs = {"repo": {"type": "volume"}}
        return {**CPU, "uses": "git-checkout@v1", "outputs": outputs, "with": given}

    check = """
        set -e
        cd /inputs/repo
        test "$(cat file)" = two
        test "$(cat lib/file)" = lib
        test "$(wc -c <model.bin)" = 7000
        test "$(git -c safe.directory='*' rev-list --count HEAD)" = 4
        ! grep -rq t0ken .git
    """
    wrong = clone(username="robot", password="wrong")
    await cluster.start(
        "private",
        {
            "clone": clone(),
            "check": script(check, needs=["clone"], inputs={"repo": "clone.outputs.repo"}),
            "tag": clone(ref="$WANTED", path="/outputs/repo/sub") | {"env": {"WANTED": "v1"}},
            "check-tag": script(
                "test $(cat inputs/repo/sub/file) = one",
                needs=["tag"],
                inputs={"repo": "tag.outputs.repo"},
            ),
            "wrong": wrong,
            "nowhere": clone(ref="no-such-branch"),
        },
    )
    status = await cluster.ended("private")
    jobs = {name: job["phase"] for name, job in status["jobs"].items()}
    right = dict.fromkeys(("clone", "check", "tag", "check-tag"), "Succeeded")
    assert jobs == {**right, "wrong": "Failed", "nowhere": "Failed"}, status
    assert status["jobs"]["wrong"]["reason"] == "GitAuthenticationFailed"
    assert status["jobs"]["nowhere"]["reason"] == "GitRefNotFound"
    log = await cluster.log("private", "clone")
    assert "HEAD is now at" in log
    assert PASSWORD not in log
    assert "WARNING" not in log
