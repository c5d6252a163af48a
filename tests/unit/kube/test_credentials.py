import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gradient_operator.kube import credentials as module
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.credentials import (
    TOKEN_LIFE,
    CredentialsError,
    TokenFile,
    in_cluster_credentials,
    load_credentials,
)
from gradient_operator.kube.errors import Forbidden
from gradient_operator.kube.resources import RUNS
from tests.unit.kube.faults import fails


def write(path: Path, *, user: dict, cluster: dict | None = None, name: str = "one", **context):
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, **context}}],
        "clusters": [{"name": name, "cluster": cluster or {"server": f"http://{name}:1/"}}],
        "users": [{"name": name, "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """Keep the credentials of the machine that runs the tests out of them."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


async def test_a_token_of_a_kubeconfig_is_sent(tmp_path):
    loaded = load_credentials(write(tmp_path / "config", user={"token": "t"}, namespace="team"))
    assert loaded.server == "http://one:1"
    assert loaded.namespace == "team"
    assert await loaded.authorization.header() == "Bearer t"


async def test_name_and_password_of_a_kubeconfig_are_sent(tmp_path):
    loaded = load_credentials(write(tmp_path / "config", user={"username": "u", "password": "p"}))
    assert await loaded.authorization.header() == "Basic " + base64.b64encode(b"u:p").decode()


async def test_a_token_file_is_found_beside_the_kubeconfig(tmp_path):
    (tmp_path / "token").write_text("t\n")
    loaded = load_credentials(write(tmp_path / "config", user={"tokenFile": "token"}))
    assert await loaded.authorization.header() == "Bearer t"


def test_the_environment_names_the_kubeconfig_and_a_context_can_be_chosen(monkeypatch, tmp_path):
    one = write(tmp_path / "1", user={"token": "t"})
    two = write(tmp_path / "2", user={"token": "u"}, name="two")
    monkeypatch.setenv("KUBECONFIG", f"{one}:{tmp_path / 'absent'}:{two}")
    assert load_credentials().server == "http://one:1"
    assert load_credentials(context="two").server == "http://two:1"


def test_the_home_directory_is_the_last_place_to_look(tmp_path):
    (tmp_path / "home" / ".kube").mkdir(parents=True)
    write(tmp_path / "home" / ".kube" / "config", user={})
    assert load_credentials().server == "http://one:1"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda path: path.unlink(), "set KUBECONFIG"),
        (lambda path: path.write_text("[1]"), "is no kubeconfig"),
        (lambda path: path.write_text("{"), "cannot read the kubeconfig"),
        (lambda path: path.write_text("{}"), "no current-context"),
        (lambda path: path.write_text("current-context: x"), "has no context 'x'"),
        (lambda path: write(path, user={"as": "root"}), "impersonates"),
        (lambda path: write(path, user={"auth-provider": {}}), "use an exec plugin"),
        (lambda path: write(path, user={"client-certificate": "gone"}), "cannot read client-cert"),
        (
            lambda path: write(
                path,
                user={},
                cluster={"server": "https://a", "certificate-authority-data": "YWJj"},
            ),
            "unusable certificate",
        ),
    ],
)
def test_an_unusable_kubeconfig_is_explained(tmp_path, change, sentence):
    path = write(tmp_path / "config", user={})
    change(path)
    with pytest.raises(CredentialsError, match=sentence):
        load_credentials(path)


@pytest.fixture
def account(tmp_path):
    directory = tmp_path / "account"
    directory.mkdir()
    (directory / "token").write_text("first")
    (directory / "namespace").write_text("gradient-system\n")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "1", "-subj", "/CN=test", "-keyout", directory / "key"),
            *("-out", directory / "ca.crt"),
        ],
        check=True,
        capture_output=True,
    )
    return directory


async def test_a_pod_uses_its_service_account(monkeypatch, account):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    monkeypatch.setattr(module, "SERVICE_ACCOUNT", account)
    monkeypatch.setattr(module.in_cluster_credentials, "__defaults__", (account,))
    loaded = load_credentials()
    assert loaded.server == "https://[fd00::1]:6443"
    assert loaded.namespace == "gradient-system"
    assert await loaded.authorization.header() == "Bearer first"


async def test_a_service_account_without_a_namespace_uses_the_default(monkeypatch, account):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    (account / "namespace").unlink()
    assert in_cluster_credentials(account).namespace == "default"
    assert in_cluster_credentials(account).server == "https://10.0.0.1:443"


async def test_a_replaced_token_is_noticed_within_a_minute(tmp_path):
    now = 0.0
    path = tmp_path / "token"
    path.write_text("first")
    token = TokenFile(path, clock=lambda: now)
    assert await token.header() == "Bearer first"
    path.write_text("second")
    now = TOKEN_LIFE - 1
    assert await token.header() == "Bearer first"
    now = TOKEN_LIFE
    assert await token.header() == "Bearer second"


async def test_a_token_file_that_vanishes_leaves_the_last_token(tmp_path):
    path = tmp_path / "token"
    token = TokenFile(path)
    with pytest.raises(CredentialsError, match="cannot read the token"):
        await token.header()
    path.write_text("first")
    assert await token.header() == "Bearer first"
    path.unlink()
    token.expire()
    assert await token.header() == "Bearer first"


async def test_a_refused_token_is_read_again_at_once(api, tmp_path):
    path = tmp_path / "token"
    path.write_text("old")

    async def rotate(request):
        path.write_text("new")
        return await fails(401, "Unauthorized")(request)

    api.put(RUNS.plural, "a")
    api.next("create", rotate)
    async with api.client(authorization=TokenFile(path)) as client:
        await client.create(RUNS, {"metadata": {"name": "b"}}, namespace="ns")
    sent = [request.headers["Authorization"] for request in api.requests]
    assert sent == ["Bearer old", "Bearer new"]


async def test_a_token_that_stays_refused_is_an_error(api, tmp_path):
    (tmp_path / "token").write_text("bad")
    api.next("get", *[fails(401, "Unauthorized")] * 9)
    async with api.client(authorization=TokenFile(tmp_path / "token")) as client:
        with pytest.raises(Forbidden) as caught:
            await client.get(RUNS, namespace="ns", name="a")
    assert caught.value.status == 401
    assert api.count("get") == 2


async def test_a_login_plugin_is_asked_again_after_its_token_was_refused(api, tmp_path):
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "import json, pathlib\n"
        f"path = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "count = int(path.read_text()) + 1 if path.exists() else 1\n"
        "path.write_text(str(count))\n"
        "status = {'token': f'token-{count}'}\n"
        "kind = {'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential'}\n"
        "print(json.dumps(kind | {'status': status}))\n"
    )
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(plugin)],
            "interactiveMode": "Never",
        }
    }
    cluster = {"server": f"http://127.0.0.1:{api.port}"}
    path = write(tmp_path / "config", user=user, cluster=cluster)
    api.put(RUNS.plural, "a")
    api.next("get", fails(401, "Unauthorized"))
    async with await KubeClient.connect(path, user_agent="test") as client:
        await client.get(RUNS, namespace="ns", name="a")
        await client.get(RUNS, namespace="ns", name="a")
    sent = [request.headers["Authorization"] for request in api.requests]
    assert sent == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_a_login_plugin_that_fails_is_named(tmp_path):
    user = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(tmp_path / "no")}
    }
    with pytest.raises(CredentialsError, match="login plugin failed"):
        load_credentials(write(tmp_path / "config", user=user))


def test_a_simple_kubeconfig_does_not_load_the_official_library(tmp_path):
    path = write(tmp_path / "config", user={"token": "t"})
    script = (
        "import json, pathlib, sys\n"
        "from gradient_operator.kube.client import KubeClient\n"
        "from gradient_operator.kube.credentials import load_credentials\n"
        f"load_credentials(pathlib.Path({str(path)!r}))\n"
        "heavy = {'kubernetes', 'kopf', 'pydantic', 'prometheus_client'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert json.loads(done.stdout) == []
