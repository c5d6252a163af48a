"""A web identity instead of keys: tokens that a real kubelet projects, traded at a real STS.

The token service is SeaweedFS itself. It checks a token's signature with the keys that the API
server publishes, its issuer, its audience and whether it has ended, and the role's trust policy
checks whose it is. The keys it gives for it work for its own buckets alone: the first run shows
that, and that nothing else opens them.
"""

import asyncio
import json
import textwrap
from typing import Any

import pytest

from gradient_operator.kube.resources import PODS
from tests.e2e.cluster import IMAGE, Cluster, Seen, script
from tests.token_issuer import AUDIENCE, ROLE, trusting

TRUSTED = "datasets"
"""The service account that the role trusts."""
SERVER = "storage"
KEYS_PORT = 8000
PUBLISHED_KEYS = f"""
import http.server, ssl, urllib.request

class Keys(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
        token = open(folder + "token").read()
        request = urllib.request.Request(
            "https://kubernetes.default.svc/openid/v1/jwks",
            headers={{"Authorization": "Bearer " + token}},
        )
        context = ssl.create_default_context(cafile=folder + "ca.crt")
        body = urllib.request.urlopen(request, context=context).read()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", {KEYS_PORT}), Keys).serve_forever()
"""
"""Passes the API server's own keys on: it shows them to who has a service account."""


async def start(cluster: Cluster) -> None:
    """The S3 server that trusts one service account, and a run for each way to ask it."""
    found = await asyncio.to_thread(
        cluster.kubectl, "get", "--raw", "/.well-known/openid-configuration"
    )
    settings = trusting(
        json.loads(found.stdout)["issuer"],
        keys=f"http://127.0.0.1:{KEYS_PORT}/",
        account=f"system:serviceaccount:{cluster.namespace}:{TRUSTED}",
    )
    items = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": TRUSTED}},
        *server(settings),
        provider(cluster.namespace, "trusted", serviceAccount=TRUSTED),
        provider(cluster.namespace, "other-account"),
        provider(cluster.namespace, "other-audience", serviceAccount=TRUSTED, audience="another"),
    ]
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    await asyncio.to_thread(cluster.kubectl, "apply", "-f", "-", text=body)
    await cluster.until(PODS, SERVER, ready)
    dataset = {"type": "dataset", "with": {"ref": "numbers"}}
    make = script("seq 100000 >/outputs/numbers/all", outputs={"numbers": dataset})
    use = script(
        "set -e; seq 100000 | cmp - /inputs/numbers/all; env; find /var/run/ | sort",
        needs=["make"],
        inputs={"numbers": "make.outputs.numbers"},
    )
    await begin(cluster, "trusted", {"make": make, "use": use})
    await begin(cluster, "other-account", {"make": make})
    await begin(cluster, "other-audience", {"make": make})


async def begin(cluster: Cluster, name: str, jobs: dict[str, Any]) -> None:
    """A run with the provider of its name."""
    await cluster.start(name, jobs, policy={"datasets": {"provider": name}})


async def test_helpers_upload_and_fetch_with_keys_for_their_token(shared: Cluster) -> None:
    status = await shared.succeeded("trusted", seconds=240)
    assert status["jobs"]["make"]["outputs"]["numbers"]["digest"]
    pods = await shared.pods("trusted")
    for pod in pods.values():
        assert pod["spec"]["serviceAccountName"] == TRUSTED
        assert "secret" not in {kind for volume in pod["spec"]["volumes"] for kind in volume}
    seen = await shared.log("trusted", "use")
    assert "AWS_" not in seen, "the user's container gets no identity"
    assert "token" not in seen
    assert "PATH=" in seen


@pytest.mark.parametrize("run", ["other-account", "other-audience"])
async def test_whom_the_role_does_not_trust_is_told_what_it_must_trust(
    shared: Cluster, run: str
) -> None:
    status = await shared.ended(run, seconds=240)
    job, message = status["jobs"]["make"], status["jobs"]["make"]["message"]
    assert status["phase"] == "Failed"
    assert (job["attempt"], job["reason"]) == (1, "IdentityRefused"), "no attempt would be trusted"
    assert "refused the identity" in message
    assert "must trust this cluster's issuer, the service account and the audience" in message


def ready(pod: Seen) -> bool:
    """Whether all containers of a Pod are."""
    conditions = pod["status"].get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def provider(namespace: str, name: str, **identity: str) -> Seen:
    """Keeps what runs make in the S3 server of this namespace."""
    address = f"http://{SERVER}.{namespace}.svc:8333"
    common = {"roleArn": ROLE, "audience": AUDIENCE, "endpoint": address}
    return {
        "apiVersion": "gradient.run/v1alpha1",
        "kind": "GradientStorageProvider",
        "metadata": {"name": name},
        "spec": {"endpoint": address, "bucket": "datasets", "webIdentity": {**common, **identity}},
    }


def server(settings: dict[str, Any]) -> list[Seen]:
    """SeaweedFS with a token service, and beside it who passes on the API server's keys."""
    administrator = {
        "name": "administrator",
        "credentials": [{"accessKey": "administrator", "secretKey": "nobody uses it"}],
        "actions": ["Admin"],
    }
    files = {
        "iam.json": json.dumps(settings),
        "identities.json": json.dumps({"identities": [administrator]}),
        "keys.py": textwrap.dedent(PUBLISHED_KEYS),
    }
    words = (
        *("server", "-dir=/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"),
        *("-s3.ip.bind=0.0.0.0", "-s3.port=8333", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-s3.config=/settings/identities.json", "-s3.iam.config=/settings/iam.json"),
        *("-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=0"),
    )
    mounted = {"name": "settings", "mountPath": "/settings"}
    make_bucket = (
        "weed upload -master=127.0.0.1:9333 /etc/hostname && "
        r"printf 'POST /buckets/datasets/ HTTP/1.0\r\n\r\n' | nc 127.0.0.1 8888 | grep -q 201"
    )
    weed = {
        "name": "weed",
        "image": "localhost/gradient/seaweedfs:dev",
        "command": ["weed", *words],
        "env": [{"name": "GOMEMLIMIT", "value": "512MiB"}],
        "startupProbe": {
            "exec": {"command": ["sh", "-c", make_bucket]},
            "periodSeconds": 2,
            "timeoutSeconds": 10,
            "failureThreshold": 60,
        },
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8333}, "periodSeconds": 1},
        "volumeMounts": [mounted, {"name": "data", "mountPath": "/data"}],
    }
    keys = {
        "name": "keys",
        "image": IMAGE,
        "command": ["python3", "/settings/keys.py"],
        "volumeMounts": [mounted],
    }
    labels = {"app": SERVER}
    spec = {
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532},
        "containers": [weed, keys],
        "volumes": [
            {"name": "settings", "configMap": {"name": SERVER}},
            {"name": "data", "emptyDir": {}},
        ],
    }
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": SERVER}, "data": files},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": SERVER, "labels": labels},
            "spec": spec,
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVER},
            "spec": {"selector": labels, "ports": [{"port": 8333}]},
        },
    ]
