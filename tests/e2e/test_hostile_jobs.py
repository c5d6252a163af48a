"""Jobs that want what is not theirs: the keys of the storage, or to have others' files uploaded."""

import base64
import json
import os
from pathlib import Path
from typing import Any

from gradient_operator.kube.resources import DATASET_VERSIONS
from tests.e2e.cluster import Cluster, script

NOT_ROOT = "localhost/gradient/seaweedfs:dev"
"""An image whose user is 65532; it has busybox."""
KEYS = "/var/run/gradient/storage"
# What is looked for is written so that this text, which is in the container itself, does not match;
# the key comes in backwards for the same reason. The link `root` of a process in /proc is its file
# system, seen from inside the Pod.
LOOKS = r"""
echo "$YEK" | rev >/outputs/pattern
lines() { wc -l | tr -d ' '; }
words() { cat "$@" 2>/dev/null | tr '\0' '\n'; }
skip="-path /proc -o -path /sys -o -path /outputs/pattern"
files() { find / \( $skip \) -prune -o -type f -print0 2>/dev/null; }
try() { "$@" 2>/dev/null >/dev/null && echo done || echo refused; }
echo "uid=$(id -u)"
echo "others=$(words /proc/[0-9]*/cmdline | grep -c 'gradient-helpe[r]')"
echo "environments=$(words /proc/[0-9]*/environ | grep -c 'GRADIENT_STORAG[E]')"
echo "environment=$(env | grep -cF -f /outputs/pattern)"
inside() { for one in /proc/*; do (cd "$one/root" && ls -d var/run/gradient*); done 2>/dev/null; }
echo "roots=$(inside | lines)"
echo "mounts=$(grep -cE 'gradient/storag[e]|serviceaccoun[t]|secre[t]' /proc/self/mountinfo)"
echo "folders=$(ls -d /var/run/gradient* /run/gradient* /var/run/secrets 2>/dev/null | lines)"
echo "files=$(files | xargs -0 grep -slF -f /outputs/pattern | lines)"
echo "sockets=$(tail -n +2 /proc/net/unix | lines)"
mknod /outputs/disk b 254 0 2>/dev/null
echo "disk=$(try head -c 1 /outputs/disk)"
echo "mount=$(try mount -t tmpfs none /mnt)"
echo "unshare=$(try unshare -m true)"
"""
ASKS = """
python3 - <<'END'
import os, ssl, urllib.error, urllib.request
def ask(name, url):
    context = ssl._create_unverified_context()
    context = context if url.startswith("https") else None
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            print(f"{name}={answer.status}")
    except urllib.error.HTTPError as error:
        print(f"{name}={error.code}")
    except OSError as error:
        print(f"{name}={error}")
own = os.environ["PROJECT_ID"]
api = "https://kubernetes.default.svc/api/v1"
ask("secret", f"{api}/namespaces/{own}/secrets/gradient-storage")
ask("pods", f"{api}/namespaces/{own}/pods")
ask("bucket", "http://seaweedfs.gradient-system.svc:8333/gradient/?list-type=2")
END
"""


def output(name: str) -> dict[str, Any]:
    return {"d": {"type": "dataset", "with": {"ref": name}}}


def facts(log: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in log.splitlines() if "=" in line)


async def test_the_keys_of_the_storage_cannot_be_had_from_a_job(cluster: Cluster) -> None:
    await cluster.start("hands-out-keys", {"job": script("true", outputs=output("first"))})
    await cluster.succeeded("hands-out-keys")
    found = json.loads(cluster.kubectl("get", "secret", "gradient-storage", "-o", "json").stdout)
    key = base64.b64decode(found["data"]["secretAccessKey"]).decode()
    env = {"YEK": key[::-1]}
    other = {
        "resources": {"instance-type": "C4"},
        "uses": "container@v1",
        "with": {"image": NOT_ROOT, "command": ["sh", "-c"], "args": [LOOKS]},
        "env": env,
        "outputs": output("other"),
    }
    root = script(LOOKS + ASKS, env=env, outputs=output("root"))
    await cluster.start("thieves", {"root": root, "other": other})
    await cluster.succeeded("thieves")
    nothing = {
        "others": "0",
        "environments": "0",
        "environment": "0",
        "roots": "0",
        "mounts": "0",
        "folders": "0",
        "files": "0",
        "sockets": "0",
        "disk": "refused",
        "mount": "refused",
        "unshare": "refused",
    }
    refused = {"secret": "403", "pods": "403", "bucket": "403"}
    log = await cluster.log("thieves", "root")
    assert facts(log) == {"uid": "0", **nothing, **refused}
    assert facts(await cluster.log("thieves", "other")) == {"uid": "65532", **nothing}
    assert key not in log


HOSTILE = f"""
set -e
cd /outputs/d
ln -s {KEYS} keys
ln -s {KEYS}/secretAccessKey key
ln -s ../../..{KEYS}/accessKeyId id
ln -s /proc/1/environ environ
ln -s / root
mkdir inner; ln -s .. inner/up
echo real >real; ln real hard
printf x >$'new\\nline'; printf y >$'\\001\\033[31m'; mkdir -- '-rf'; printf z >'-rf/..data'
"""


async def test_what_a_job_leaves_is_kept_as_it_is_or_refused_by_name(
    cluster: Cluster, tmp_path: Path
) -> None:
    spoilt = {
        "pipe": "mkfifo $'/outputs/d/a\\npipe'",
        "device": "mkdir /outputs/d/dev; mknod /outputs/d/dev/memory c 1 1",
        "linked": f"rmdir /outputs/d; ln -s {KEYS} /outputs/d",
    }
    await cluster.start(
        "hostile",
        {
            "links": script(HOSTILE, outputs=output("links")),
            **{name: script(text, outputs=output(name)) for name, text in spoilt.items()},
        },
    )
    status = await cluster.ended("hostile")
    jobs = status["jobs"]
    assert {name: job["phase"] for name, job in jobs.items()} == {
        "links": "Succeeded",
        **dict.fromkeys(spoilt, "Failed"),
    }
    assert {jobs[name]["attempt"] for name in spoilt} == {1}, "it would be the same again"
    assert r"'a\npipe'" in jobs["pipe"]["message"]
    assert "'dev/memory'" in jobs["device"]["message"]
    assert "/outputs/d" in jobs["linked"]["message"]
    listed = await cluster.client.list_all(DATASET_VERSIONS, namespace=cluster.namespace)
    assert [item["spec"]["dataset"] for item in listed.items] == ["links"]
    back = tmp_path / "back"
    cluster.gradient("dataset", "get", "links", str(back))
    links = {
        str(path.relative_to(back)): os.readlink(path)
        for path in back.rglob("*")
        if path.is_symlink()
    }
    assert links == {
        "keys": KEYS,
        "key": f"{KEYS}/secretAccessKey",
        "id": f"../../..{KEYS}/accessKeyId",
        "environ": "/proc/1/environ",
        "root": "/",
        "inner/up": "..",
    }
    files = {
        str(path.relative_to(back)): path.read_text()
        for path in back.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    assert files == {
        "real": "real\n",
        "hard": "real\n",
        "new\nline": "x",
        "\x01\x1b[31m": "y",
        "-rf/..data": "z",
    }
