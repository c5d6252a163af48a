"""The way to object storage inside the cluster, with a kubectl that is a few lines of shell."""

import os
import stat

import pytest

from gradient_operator.cli.dataset import forward
from gradient_operator.cli.dataset.forward import reachable
from gradient_operator.cli.errors import CommandError
from gradient_operator.cli.options import Target
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.kube import credentials

INSIDE = StorageLocation(
    endpoint="http://storage.gradient-system.svc:8333", bucket="data", allow_http=True
)


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """Install a kubectl that runs the given lines; its arguments are kept in a file."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")

    def install(*lines):
        program = place / "kubectl"
        program.write_text("\n".join(["#!/bin/sh", f'echo "$@" > {place}/arguments', *lines]))
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
        return place / "arguments"

    return install


def opened(location=INSIDE, *, endpoint=None, target=None, said=None):
    say = (said if said is not None else []).append
    return reachable(location, endpoint=endpoint, target=target or Target(), say=say)


@pytest.mark.parametrize("suffix", [".svc", ".svc.cluster.local", ".svc.cluster.local."])
def test_a_service_is_reached_through_a_forwarded_port(kubectl, suffix, tmp_path):
    arguments = kubectl(
        f"echo $$ > {tmp_path}/pid",
        'echo "Forwarding from 127.0.0.1:34567 -> 8333"',
        "exec sleep 60",
    )
    inside = StorageLocation(
        endpoint=f"http://storage.gradient-system{suffix}:8333", bucket="data", allow_http=True
    )
    said = []
    target = Target(context="lab", kubeconfig="/k")
    with opened(inside, target=target, said=said) as location:
        assert location.endpoint == "http://127.0.0.1:34567"
        assert location.bucket == "data"
        process = int((tmp_path / "pid").read_text())
        os.kill(process, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert arguments.read_text().strip() == (
        "--kubeconfig /k --context lab port-forward --address 127.0.0.1 "
        "-n gradient-system service/storage :8333"
    )
    assert "kubectl forwards a port" in said[0]


def test_a_chatty_kubectl_does_not_stop_at_a_full_pipe(kubectl, tmp_path):
    kubectl(
        'echo "Forwarding from 127.0.0.1:1 -> 8333"',
        "i=0; while [ $i -lt 4000 ]; do echo 'Handling connection for 1 and some words'; "
        "i=$((i+1)); done",
        f"echo done > {tmp_path}/wait",
        "exec sleep 60",
    )
    os.mkfifo(tmp_path / "wait")
    with opened():
        assert (tmp_path / "wait").read_text() == "done\n"


def test_a_kubectl_that_fails_is_quoted(kubectl):
    kubectl("echo 'error: services \"storage\" not found' >&2", "exit 1")
    with pytest.raises(CommandError, match=r'services "storage" not found.*--endpoint'), opened():
        pass


def test_a_kubectl_that_says_nothing_is_not_waited_for(kubectl, monkeypatch):
    kubectl("exec sleep 60")
    monkeypatch.setattr(forward, "SECONDS_TO_START", 0.2)
    with pytest.raises(CommandError, match="it said nothing"), opened():
        pass


def test_a_missing_kubectl_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(CommandError, match=r"is not on PATH: install.*--endpoint"),
        opened(),
    ):
        pass


def test_another_address_is_taken_as_it_is(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with opened(endpoint="http://localhost:9000") as location:
        assert (location.endpoint, location.allow_http) == ("http://localhost:9000", True)


def test_storage_outside_of_the_cluster_needs_no_port():
    outside = StorageLocation(endpoint="https://s3.example.com", bucket="data")
    with opened(outside) as location:
        assert location == outside


def test_a_service_with_tls_needs_an_address():
    inside = StorageLocation(endpoint="https://storage.x.svc", bucket="data")
    with pytest.raises(CommandError, match="--endpoint"), opened(inside):
        pass


@pytest.mark.parametrize(
    ("target", "direct"),
    [
        (Target(namespace="team"), True),
        (Target(context="other"), False),
        (Target(kubeconfig="/k"), False),
    ],
    ids=["own cluster", "another context", "another kubeconfig"],
)
def test_a_pod_of_the_cluster_reaches_its_services_itself(
    kubectl, monkeypatch, tmp_path, target, direct
):
    (tmp_path / "token").write_text("x")
    monkeypatch.setattr(credentials, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    kubectl('echo "Forwarding from 127.0.0.1:34567 -> 8333"', "exec sleep 60")
    with opened(target=target) as location:
        assert (location == INSIDE) is direct
