"""What the manifests promise, read from what kustomize makes of them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from gradient_operator.api.instance_type import InstanceTypeSpec
from gradient_operator.api.names import (
    KINDS,
    LABEL_MANAGED_BY,
    LABEL_PART_OF,
    MANAGER,
    PART_OF,
    SECRET_OF_STORAGE,
)
from gradient_operator.config import OperatorConfig
from hack.checkout import LOCAL
from hack.commands import search_path

MANIFESTS = Path(__file__).parents[3] / "manifests"
INSTALLATIONS = ["base", "overlays/local", "overlays/kind"]
CATALOGUES = ["instance-types", "instance-types/pools"]
NAMESPACE = "gradient-system"
OF_THE_CLUSTER = {"Namespace", "ClusterRole", "ClusterRoleBinding", "GradientInstanceType"}
READING = {"get", "list", "watch"}


def build(folder):
    kubectl = shutil.which("kubectl", path=search_path()) or LOCAL / "bin/kubectl"
    done = subprocess.run(
        [kubectl, "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [*yaml.safe_load_all(done.stdout)]


@pytest.fixture(scope="module", params=INSTALLATIONS)
def installation(request):
    return build(MANIFESTS / request.param)


@pytest.fixture(scope="module")
def local():
    return build(MANIFESTS / "overlays/local")


def of_kind(objects, *kinds):
    return [each for each in objects if each["kind"] in kinds]


def named(objects, kind, name):
    (found,) = [each for each in of_kind(objects, kind) if each["metadata"]["name"] == name]
    return found


def workloads(objects):
    return of_kind(objects, "Deployment", "StatefulSet")


def pods(objects):
    return [each["spec"]["template"]["spec"] for each in workloads(objects)]


def rules(objects):
    for role in of_kind(objects, "ClusterRole", "Role"):
        for rule in role["rules"]:
            yield role["metadata"]["name"], rule


def config_of(objects):
    (config,) = of_kind(objects, "ConfigMap")
    return OperatorConfig.model_validate(yaml.safe_load(config["data"]["config.yaml"]))


def with_component(tmp_path, name):
    kustomization = {
        "resources": [os.path.relpath(MANIFESTS / "base", tmp_path)],
        "components": [os.path.relpath(MANIFESTS / "components" / name, tmp_path)],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return build(tmp_path)


def test_everything_can_be_found_again_by_one_label(installation):
    assert [
        each["metadata"]["name"]
        for each in installation
        if each["metadata"].get("labels", {}).get(LABEL_PART_OF) != PART_OF
    ] == []


def test_everything_with_a_namespace_is_in_the_operators(installation):
    namespaces = {
        each["metadata"].get("namespace")
        for each in installation
        if each["kind"] not in OF_THE_CLUSTER
    }
    assert namespaces == {NAMESPACE}


def test_no_role_has_a_wildcard(installation):
    for name, rule in rules(installation):
        for key in ("apiGroups", "resources", "verbs"):
            assert "*" not in rule[key], name


def test_no_role_reads_secrets(installation):
    for name, rule in rules(installation):
        if "secrets" in rule["resources"]:
            assert not READING & {*rule["verbs"]}, name
            assert rule["verbs"] == ["create"] or rule["resourceNames"] == [SECRET_OF_STORAGE]


def test_the_operator_watches_every_kind_of_ours(installation):
    watched = set()
    for name, rule in rules(installation):
        if name == "gradient-operator" and rule["apiGroups"] == ["gradient.run"]:
            watched |= {*rule["resources"]} if {*rule["verbs"]} >= READING else set()
    assert watched == {*KINDS.values()}


def test_users_roles_cover_every_kind(installation):
    role = named(installation, "ClusterRole", "gradient-view")
    (rule,) = role["rules"]
    assert {*rule["resources"]} == {*KINDS.values()}
    assert {*rule["verbs"]} == READING


def test_the_lease_is_the_only_thing_written_to_the_operators_namespace(installation):
    role = named(installation, "Role", "gradient-operator")
    assert {resource for rule in role["rules"] for resource in rule["resources"]} == {"leases"}
    names = [name for rule in role["rules"] for name in rule.get("resourceNames", [])]
    assert names == [config_of(installation).lease.name]


def test_pods_fit_pod_security_restricted(installation):
    namespace = named(installation, "Namespace", NAMESPACE)
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in pods(installation):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 65_532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["enableServiceLinks"] is False
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= {*container["resources"]["requests"]}
            assert any(mount["mountPath"] == "/tmp" for mount in container["volumeMounts"])


def test_only_the_operator_gets_a_token(installation):
    account = named(installation, "ServiceAccount", "gradient-operator")
    assert account["automountServiceAccountToken"] is False
    for workload in workloads(installation):
        pod = workload["spec"]["template"]["spec"]
        wanted = workload["metadata"]["name"] == "gradient-operator"
        assert pod["automountServiceAccountToken"] is wanted


def test_the_helper_image_is_the_operators(installation):
    deployment = named(installation, "Deployment", "gradient-operator")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert config_of(installation).helper_image == container["image"]


def test_images_have_one_tag_that_is_not_latest(installation):
    images = {container["image"] for pod in pods(installation) for container in pod["containers"]}
    assert len({image.rsplit(":", 1)[1] for image in images} - {"latest"}) == 1


def test_the_configuration_is_where_the_operator_looks_for_it(installation):
    deployment = named(installation, "Deployment", "gradient-operator")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    (config,) = of_kind(installation, "ConfigMap")
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert (
        volumes[mounts["/etc/gradient/config.yaml"]]["configMap"]["name"]
        == (config["metadata"]["name"])
    )
    secret = volumes[mounts["/etc/gradient/storage"]]["secret"]
    assert secret == {"secretName": "gradient-storage-default", "optional": True}
    assert container["ports"][0]["containerPort"] == config_of(installation).listen_port


def test_probes_and_service_reach_the_port_of_the_container(installation):
    deployment = named(installation, "Deployment", "gradient-operator")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (port,) = container["ports"]
    for probe in ("livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]
    service = named(installation, "Service", "gradient-operator-metrics")
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]


def test_the_local_configuration_names_the_local_storage(local):
    storage = config_of(local).storage
    service = named(local, "Service", "seaweedfs")
    (port,) = service["spec"]["ports"]
    assert storage.endpoint == f"http://seaweedfs.{NAMESPACE}.svc:{port['port']}"
    assert str(storage.credentials_directory) == "/etc/gradient/storage"


def test_credentials_are_never_part_of_the_manifests(installation):
    assert of_kind(installation, "Secret") == []


def test_only_s3_listens_outside_the_pod(local):
    (container,) = named(local, "StatefulSet", "seaweedfs")["spec"]["template"]["spec"][
        "containers"
    ]
    flags = dict(flag[1:].split("=", 1) for flag in container["args"] if "=" in flag)
    assert (flags["ip.bind"], flags["s3.ip.bind"]) == ("127.0.0.1", "0.0.0.0")
    assert flags["master.telemetry"] == "false"
    policy = named(local, "NetworkPolicy", "seaweedfs")
    assert policy["spec"]["ingress"][0]["ports"] == [{"port": "s3"}]


@pytest.mark.parametrize("folder", CATALOGUES)
def test_machine_types_are_valid(folder):
    objects = build(MANIFESTS / folder)
    assert {each["kind"] for each in objects} == {"GradientInstanceType"}
    for each in objects:
        InstanceTypeSpec.model_validate(each["spec"])


@pytest.mark.parametrize("overlay", ["overlays/local", "overlays/kind"])
def test_small_clusters_get_the_pools(overlay):
    types = of_kind(build(MANIFESTS / overlay), "GradientInstanceType")
    assert types
    for each in types:
        assert set(each["spec"]["nodeSelector"]) == {"gradient.run/pool"}


def test_two_operators_may_not_be_drained_at_once(tmp_path):
    objects = with_component(tmp_path, "ha")
    deployment = named(objects, "Deployment", "gradient-operator")
    assert deployment["spec"]["replicas"] == 2
    (spread,) = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    (budget,) = of_kind(objects, "PodDisruptionBudget")
    assert budget["spec"]["minAvailable"] == 1
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    for selector in (spread["labelSelector"], budget["spec"]["selector"]):
        assert selector["matchLabels"].items() <= labels


def test_the_monitor_scrapes_the_operators_port(tmp_path):
    objects = with_component(tmp_path, "monitoring")
    (monitor,) = of_kind(objects, "PodMonitor")
    deployment = named(objects, "Deployment", "gradient-operator")
    template = deployment["spec"]["template"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= (
        template["metadata"]["labels"].items()
    )
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == template["spec"]["containers"][0]["ports"][0]["name"]


def test_uninstall_knows_the_names_that_it_must_find():
    from hack import uninstall

    assert uninstall.PART_OF.split("=") == [LABEL_PART_OF, PART_OF]
    assert uninstall.MANAGED.split("=") == [LABEL_MANAGED_BY, MANAGER]
    assert {*uninstall.KINDS} == {*KINDS.values()}
