"""kind is called with the right words, and what it is given fits what kind brings along."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from hack.cluster import existing, kind
from hack.cluster.kind import KindCluster
from hack.cluster.profile import GPU_RESOURCE
from hack.commands import Result

if TYPE_CHECKING:
    from pathlib import Path

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "local-path-provisioner",
        "namespace": "local-path-storage",
        "resourceVersion": "1",
        "uid": "u",
    },
    "spec": {
        "selector": {"matchLabels": {"app": "local-path-provisioner"}},
        "template": {
            "metadata": {"labels": {"app": "local-path-provisioner"}},
            "spec": {
                "serviceAccountName": "local-path-provisioner-service-account",
                "containers": [
                    {
                        "name": "local-path-provisioner",
                        "image": "kindest/local-path-provisioner:v1",
                        "command": [
                            "local-path-provisioner",
                            "--debug",
                            "start",
                            "--config",
                            "/etc/config/config.json",
                        ],
                    }
                ],
                "volumes": [
                    {"name": "config-volume", "configMap": {"name": "local-path-config"}},
                ],
            },
        },
    },
    "status": {"replicas": 1},
}
CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "local-path-config", "namespace": "local-path-storage", "uid": "u"},
    "data": {"config.json": "{}", "setup": "make it", "teardown": "remove it"},
}


class Machine:
    """Answers commands as a machine with kind would, and remembers them."""

    def __init__(self, *, clusters: str = "") -> None:
        self.clusters = clusters
        self.commands: list[list[str]] = []
        self.inputs: list[str] = []

    def __call__(self, command, *, text: str | None = None) -> Result:
        self.commands.append(list(command))
        if text:
            self.inputs.append(text)
        line = " ".join(command)
        if line == "kind get clusters":
            return Result(0, self.clusters, "")
        if "get nodes" in line:
            return Result(0, "node/gradient-worker2\n", "")
        if "get deployment" in line:
            return Result(0, json.dumps(DEPLOYMENT), "")
        if "get configmap" in line:
            return Result(0, json.dumps(CONFIG), "")
        return Result(0, "", "")

    def lines(self) -> list[str]:
        return [" ".join(command) for command in self.commands]


@pytest.fixture(autouse=True)
def _no_link(monkeypatch):
    monkeypatch.setattr(existing, "find_kubectl", lambda: "/usr/bin/kubectl")
    monkeypatch.setattr(kind.binaries, "link_kubectl", lambda binary: binary)


def cluster(machine: Machine, folder: Path) -> KindCluster:
    kubeconfig = folder / "kubeconfig"
    kubeconfig.touch()
    return KindCluster(run=machine, kubeconfig=kubeconfig, shared_folder=folder / "shared")


def test_up_makes_the_cluster_with_the_configuration_of_the_repository(tmp_path: Path):
    machine = Machine()
    one = cluster(machine, tmp_path)
    one.up()
    created = next(line for line in machine.lines() if line.startswith("kind create cluster"))
    assert f"--config {kind.CONFIGURATION}" in created
    assert f"--kubeconfig {one.kubeconfig}" in created
    assert one.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert one.shared_folder.is_dir()


def test_up_makes_no_second_cluster(tmp_path: Path):
    machine = Machine(clusters="other\ngradient\n")
    cluster(machine, tmp_path).up()
    assert not any("create cluster" in line for line in machine.lines())
    assert any("export kubeconfig" in line for line in machine.lines())


def test_up_gives_the_gpu_node_its_gpus(tmp_path: Path):
    machine = Machine()
    cluster(machine, tmp_path).up()
    patch = next(command for command in machine.commands if "patch" in command)
    assert "--subresource=status" in patch
    operations = json.loads(patch[patch.index("-p") + 1])
    assert {one["path"] for one in operations} == {
        f"/status/{part}/{GPU_RESOURCE.replace('/', '~1')}" for part in ("capacity", "allocatable")
    }


def test_up_adds_a_provisioner_for_the_shared_class(tmp_path: Path):
    machine = Machine()
    cluster(machine, tmp_path).up()
    items = {item["kind"]: item for item in json.loads(machine.inputs[-1])["items"]}
    assert items["StorageClass"]["provisioner"] == kind.SHARED_PROVISIONER
    container = items["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["command"][-4:] == [
        "--provisioner-name",
        kind.SHARED_PROVISIONER,
        "--configmap-name",
        items["ConfigMap"]["metadata"]["name"],
    ]


def test_shared_deployment_does_not_take_over_the_pods_of_the_first():
    copy = kind.shared_deployment(DEPLOYMENT)
    selector = copy["spec"]["selector"]["matchLabels"]
    assert selector == copy["spec"]["template"]["metadata"]["labels"]
    assert selector != DEPLOYMENT["spec"]["selector"]["matchLabels"]
    assert set(copy["metadata"]) == {"name", "namespace"}
    volume = copy["spec"]["template"]["spec"]["volumes"][0]
    assert volume["configMap"]["name"] == "local-path-config-shared"
    assert DEPLOYMENT["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] == (
        "local-path-config"
    )


def test_shared_config_keeps_the_scripts_and_changes_the_folder():
    data = kind.shared_config(CONFIG)["data"]
    assert data["setup"] == "make it"
    assert json.loads(data["config.json"])["sharedFileSystemPath"] == kind.SHARED_PATH


def test_down_deletes_only_a_cluster_that_is_there(tmp_path: Path):
    machine = Machine()
    cluster(machine, tmp_path).down()
    assert not any("delete" in line for line in machine.lines())
    machine = Machine(clusters="gradient")
    cluster(machine, tmp_path).down()
    assert "kind delete cluster --name gradient" in machine.lines()
    assert not (tmp_path / "kubeconfig").exists()


def test_images_are_built_by_docker_and_loaded_by_kind(tmp_path: Path):
    machine = Machine(clusters="gradient")
    one = cluster(machine, tmp_path)
    one.build_images(["pause", "operator"])
    one.load_images(["pause", "operator"])
    builds = [line for line in machine.lines() if line.startswith("docker build")]
    assert len(builds) == 1
    assert "-t localhost/gradient/operator:dev" in builds[0]
    assert machine.lines()[-1].endswith(
        "docker-image --name gradient localhost/gradient/operator:dev"
    )


def test_kind_configuration_has_a_node_for_each_pool_and_one_shared_folder():
    document = yaml.safe_load(kind.CONFIGURATION.read_text())
    nodes = document["nodes"]
    assert [node["role"] for node in nodes] == ["control-plane", "worker", "worker"]
    pools = [node.get("labels", {}).get("gradient.run/pool") for node in nodes]
    assert pools == [None, "cpu", "gpu"]
    mounts = [node["extraMounts"] for node in nodes]
    assert mounts[0] == mounts[1] == mounts[2]
    assert mounts[0][0]["containerPath"] == kind.SHARED_PATH
    folder = kind.ROOT / mounts[0][0]["hostPath"]
    assert folder == kind.SHARED_FOLDER
