"""The collector as its CronJob runs it, and a cluster's datasets brought back from the bucket."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS, STORAGE_PROVIDERS
from tests.e2e.cluster import Cluster, Seen, command, script

SYSTEM = "gradient-system"
JOB_TIME = "--timeout=60s"
GRACE = "--grace=1s"
MAKES = """
    set -e
    cd /outputs/work
    head -c 8388608 /dev/urandom >large
    for n in $(seq 100); do head -c 20480 /dev/urandom >small-$n; done
"""
HANDS_ON = """
    set -e
    cp -a /inputs/work/. /outputs/work/
    echo changed >/outputs/work/small-7
    cp /inputs/work/small-8 /outputs/kept/
"""
READS = "test $(ls /inputs/work | wc -l) = 101 && test $(cat /inputs/work/small-7) = changed"
MADE_BYTES = 8_388_608 + 100 * 20_480


def output(name: str) -> dict[str, Any]:
    return {"type": "dataset", "with": {"ref": name}}


def system(*words: str, text: str | None = None) -> str:
    return command(["kubectl", "-n", SYSTEM, *words], text=text).stdout


@pytest.fixture(scope="module", autouse=True)
def without_what_has_no_namespace(together: str) -> Iterator[None]:
    yield
    system("delete", "job,clusterrolebinding", together, "--ignore-not-found")


async def start(cluster: Cluster) -> None:
    """A chain of copies in a bucket of its own, and a collection of the default one."""
    add_provider(cluster)
    await cluster.start(
        "chain",
        {
            "first": script(MAKES, outputs={"work": {"type": "volume"}}),
            "second": script(
                HANDS_ON,
                needs=["first"],
                inputs={"work": "first.outputs.work"},
                outputs={"work": {"type": "volume"}, "kept": output("kept")},
            ),
            "third": script(READS, needs=["second"], inputs={"work": "second.outputs.work"}),
        },
        policy={"volumes": {"mode": "Copy"}, "datasets": {"provider": "ours"}},
    )
    collector = job_of_the_cron_job()
    collector["metadata"] = {"name": cluster.namespace, "namespace": SYSTEM}
    # The other tests' namespaces went without their datasets: much of what is recorded is unknown.
    container_of(collector)["args"].append("--force")
    system("create", "-f", "-", text=json.dumps(collector))


def job_of_the_cron_job() -> dict[str, Any]:
    """What `kubectl create job --from=cronjob/gradient-collector` makes."""
    words = ("create", "job", "now", "--from=cronjob/gradient-collector", "--dry-run=client")
    job: dict[str, Any] = json.loads(system(*words, "-o", "json"))
    return job


def container_of(job: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = job["spec"]["template"]["spec"]["containers"][0]
    return container


def add_provider(cluster: Cluster) -> None:
    """A provider of the namespace, and what its collector needs (docs/storage.md)."""
    keys = json.loads(system("get", "secret", "gradient-storage-default", "-o", "json"))["data"]
    subject = {"kind": "ServiceAccount", "name": "collector", "namespace": cluster.namespace}
    group = "rbac.authorization.k8s.io"
    rules = [
        {
            "apiGroups": ["gradient.run"],
            "resources": ["gradientstorageproviders"],
            "resourceNames": ["ours"],
            "verbs": ["get"],
        },
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["ours"], "verbs": ["get"]},
    ]
    rbac = f"{group}/v1"
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ours"}, "data": keys},
        {
            "apiVersion": "gradient.run/v1alpha1",
            "kind": "GradientStorageProvider",
            "metadata": {"name": "ours"},
            "spec": {
                "endpoint": f"http://seaweedfs.{SYSTEM}.svc:8333",
                "bucket": "gradient",
                "prefix": cluster.namespace,
                "credentialsSecret": "ours",
            },
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "collector"}},
        {"apiVersion": rbac, "kind": "Role", "metadata": {"name": "collector"}, "rules": rules},
        {
            "apiVersion": rbac,
            "kind": "RoleBinding",
            "metadata": {"name": "collector"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "collector"},
            "subjects": [subject],
        },
        {
            "apiVersion": rbac,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": cluster.namespace},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "gradient-collector"},
            "subjects": [subject],
        },
    ]
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    cluster.kubectl("apply", "-f", "-", text=json.dumps(listed))


def collect(cluster: Cluster, name: str) -> None:
    """Run the collector of the namespace's provider with a short grace."""
    job = job_of_the_cron_job()
    job["metadata"] = {"name": name}
    template = job["spec"]["template"]
    template["metadata"]["labels"]["gradient.run/collector"] = "ours"
    pod, container = template["spec"], container_of(job)
    pod["serviceAccountName"] = "collector"
    pod["volumes"] = [
        {"name": "storage", "secret": {"secretName": "ours"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    mounts = container["volumeMounts"]
    container["volumeMounts"] = [mount for mount in mounts if mount["name"] != "config"]
    container["args"] = [
        *("--provider=ours", f"--namespace={cluster.namespace}"),
        *("--credentials=/etc/gradient/storage", "--report=/dev/termination-log", GRACE),
    ]
    cluster.kubectl("create", "-f", "-", text=json.dumps(job))
    cluster.kubectl("wait", "--for=condition=Complete", f"job/{name}", JOB_TIME)


def in_the_bucket(cluster: Cluster) -> dict[str, Any]:
    """What a dry run says."""
    words = ("--dry-run", "--provider", "ours", GRACE, "-o", "json")
    found: dict[str, Any] = json.loads(cluster.gradient("dataset", "gc", *words).stdout)
    return found


def metrics() -> dict[str, float]:
    """The operator's metrics."""
    pod = system("get", "pods", "-l", "app.kubernetes.io/name=gradient-operator", "-o", "name")
    path = f"/api/v1/namespaces/{SYSTEM}/pods/{pod.split()[0].rpartition('/')[2]}:8080/proxy"
    text = system("get", "--raw", f"{path}/metrics")
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def gauge(name: str, namespace: str, provider: str, **labels: str) -> str:
    told = {"namespace": namespace, "provider": provider, **labels}
    inside = ",".join(f'{key}="{value}"' for key, value in told.items())
    return f"gradient_operator_storage_{name}{{{inside}}}"


async def test_files_that_a_job_hands_on_unchanged_travel_once(shared: Cluster) -> None:
    status = await shared.succeeded("chain")
    outputs = [status["jobs"][job]["outputs"]["work"] for job in ("first", "second")]
    assert outputs[0]["digest"] != outputs[1]["digest"]
    found = in_the_bucket(shared)
    stored = sum(found[state]["bytes"] for state in ("reachable", "young", "marked"))
    assert MADE_BYTES < stored < MADE_BYTES * 1.05, "not twice, and the changed file is small"


async def test_the_collector_frees_what_nothing_needs_and_tells_how_much(shared: Cluster) -> None:
    await shared.succeeded("chain")
    shared.kubectl("delete", "gradientrun", "chain", "--wait=true")
    shared.kubectl("wait", "--for=delete", "pod", "-l", "gradient.run/run=chain", JOB_TIME)
    collect(shared, "marks")
    marked = in_the_bucket(shared)
    assert marked["marked"]["bytes"] > MADE_BYTES / 2, "the copies of the volume"
    collect(shared, "deletes")
    assert in_the_bucket(shared)["marked"]["objects"] == 0

    def told(item: Seen) -> bool:
        deleted = item.get("status", {}).get("collection", {}).get("deleted", {})
        return bool(deleted.get("objects"))

    seen = await shared.until(STORAGE_PROVIDERS, "ours", told)
    deleted = seen["status"]["collection"]["deleted"]
    assert deleted["bytes"] >= marked["marked"]["bytes"]
    shown = metrics()
    assert shown[gauge("bytes", shared.namespace, "ours", state="deleted")] == deleted["bytes"]
    assert shown[gauge("collection_failed", shared.namespace, "ours")] == 0
    said = shared.gradient("dataset", "verify", "kept").stdout
    assert "1 file" in said, "what is needed is whole"


async def test_the_nightly_collection_runs_and_is_told_in_metrics(shared: Cluster) -> None:
    system("wait", "--for=condition=Complete", f"job/{shared.namespace}", JOB_TIME)
    shown = metrics()
    assert shown[gauge("collection_failed", SYSTEM, "default")] == 0
    assert shown[gauge("objects", SYSTEM, "default", state="reachable")] >= 0


async def test_datasets_come_back_from_the_bucket_alone(shared: Cluster, tmp_path: Any) -> None:
    """Versions, tags and latest; the operator is away, as it is when a cluster is lost."""
    for text in ("one", "two"):
        (tmp_path / "file").write_text(text)
        shared.gradient("dataset", "put", str(tmp_path), "lost")
        if text == "one":
            shared.gradient("dataset", "tag", "lost", "good")
    before = await datasets(shared)

    for _ in range(60):
        said = shared.gradient("dataset", "recover", "--dry-run").stdout
        if "knows 1 datasets and 2 versions" in said:
            break
    else:
        raise AssertionError(f"the bucket does not know it: {said}")
    replicas = ("scale", "deployment/gradient-operator")
    system(*replicas, "--replicas=0")
    try:
        pods = ("pod", "-l", "app.kubernetes.io/name=gradient-operator")
        system("wait", "--for=delete", *pods, "--timeout=60s")
        shared.kubectl("delete", "gradientdatasets,gradientdatasetversions", "--all")
        assert await datasets(shared) == {}
        said = shared.gradient("dataset", "recover").stdout
        assert "made 1 datasets and 2 versions" in said
    finally:
        system(*replicas, "--replicas=1")
    assert await datasets(shared) == before
    takes = {"good": output("lost:good"), "newest": output("lost")}
    reads = "test $(cat /inputs/good/file) = one && test $(cat /inputs/newest/file) = two"
    await shared.start("reads", {"job": script(reads, inputs=takes)})
    await shared.succeeded("reads")


async def datasets(cluster: Cluster) -> dict[str, Any]:
    """What the namespace knows of datasets of the default provider."""
    client, namespace = cluster.client, cluster.namespace
    found: dict[str, Any] = {}
    for item in (await client.list_all(DATASETS, namespace=namespace)).items:
        if item["spec"].get("provider") is None:
            latest = item.get("status", {}).get("latest", {}).get("version")
            found[item["metadata"]["name"]] = (item["spec"], latest)
    for item in (await client.list_all(DATASET_VERSIONS, namespace=namespace)).items:
        if item["spec"]["dataset"] in found:
            found[item["metadata"]["name"]] = item["spec"]
    return found
