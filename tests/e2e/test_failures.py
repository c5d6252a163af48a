"""What goes wrong is shown on the run, in words, with what to do."""

import json

from gradient_operator.kube.resources import DATASET_VERSIONS, INSTANCE_TYPES, PODS, RUNS
from tests.e2e.cluster import Cluster, Seen, on, script


def condition(status: Seen, kind: str) -> Seen:
    return next(item for item in status["conditions"] if item["type"] == kind)


async def test_a_failed_job_shows_its_exit_code_and_last_lines_and_omits_dependents(
    cluster: Cluster,
) -> None:
    await cluster.start(
        "fails",
        {
            "bad": script("echo the disk is blue; exit 3"),
            "after": script("true", needs=["bad"]),
            "later": script("true", needs=["after"]),
            "other": script("sleep 3"),
            "independent": script("true", needs=["other"]),
        },
    )
    status = await cluster.ended("fails")
    phases = {name: job["phase"] for name, job in status["jobs"].items()}
    assert phases == {
        "bad": "Failed",
        "after": "Omitted",
        "later": "Omitted",
        "other": "Succeeded",
        "independent": "Succeeded",
    }
    assert status["phase"] == "Failed"
    assert status["jobs"]["bad"]["exitCode"] == 3
    succeeded = condition(status, "Succeeded")
    assert succeeded["status"] == "False"
    assert succeeded["reason"] == "ExitCode"
    assert "job bad failed: exit code 3" in succeeded["message"]
    assert "the disk is blue" in succeeded["message"]


async def test_a_missing_secret_is_named_with_the_command_and_the_job_goes_on_once_it_is_there(
    cluster: Cluster,
) -> None:
    job = script('test "$KEY" = open', env={"KEY": "secret:sesame"})
    await cluster.start("secret", {"job": job})
    message = await cluster.waiting("secret", "job", "SecretMissing")
    assert "Secret gradient-secrets" in message
    assert "kubectl -n" in message
    cluster.kubectl("create", "secret", "generic", "gradient-secrets", "--from-literal=other=value")

    def names_the_key(run: Seen) -> bool:
        return "has no key 'sesame'" in run["status"]["jobs"]["job"].get("message", "")

    await cluster.until(RUNS, "secret", names_the_key)
    patch = json.dumps({"stringData": {"sesame": "open"}})
    cluster.kubectl("patch", "secret", "gradient-secrets", "--type", "merge", "-p", patch)
    await cluster.succeeded("secret")


async def test_an_unknown_machine_type_is_shown_with_the_nearest_and_the_run_goes_on_with_it(
    cluster: Cluster,
) -> None:
    name = f"P4001-{cluster.namespace[-6:]}"
    await cluster.start("machine", {"job": on(name, script("true"))})
    message = await cluster.waiting("machine", "job", "UnknownInstanceType")
    assert name in message
    assert "kubectl get gradientinstancetypes" in message
    known = await cluster.client.get(INSTANCE_TYPES, name="c4")
    async with cluster.machine_type(name, known["spec"]):
        await cluster.succeeded("machine")


async def test_a_job_that_no_node_fits_says_so(cluster: Cluster) -> None:
    name = f"mars-{cluster.namespace[-6:]}"
    async with cluster.machine_type(name, {"nodeSelector": {"planet": "mars"}}):
        await cluster.start("mars", {"job": on(name, script("true"))})
        message = await cluster.waiting("mars", "job", "Unschedulable")
        assert "no node fits" in message
        assert "node selector" in message


async def test_an_image_that_cannot_be_pulled_is_named(cluster: Cluster) -> None:
    job = script("true")
    job["with"]["image"] = "localhost/gradient/no-such-image:1"
    await cluster.start("image", {"job": job})
    message = await cluster.waiting("image", "job", "ImagePullFailed")
    assert "no-such-image" in message
    assert "container-registries" in message


async def test_a_claim_that_is_not_bound_is_named(cluster: Cluster) -> None:
    outputs = {"data": {"type": "volume"}}
    policy = {"volumes": {"mode": "ReadWriteOnce", "storageClass": "no-such-class"}}
    await cluster.start("claim", {"job": script("true", outputs=outputs)}, policy=policy)
    message = await cluster.waiting("claim", "job", "ClaimUnbound")
    assert "storage class" in message


async def test_storage_that_does_not_answer_is_shown_and_waited_for(cluster: Cluster) -> None:
    provider = {
        "apiVersion": "gradient.run/v1alpha1",
        "kind": "GradientStorageProvider",
        "metadata": {"name": "nowhere", "namespace": cluster.namespace},
        "spec": {
            "endpoint": f"http://nowhere.{cluster.namespace}.svc:9",
            "bucket": "nowhere",
            "credentialsSecret": "nowhere",
        },
    }
    cluster.kubectl("apply", "-f", "-", text=json.dumps(provider))
    outputs = {"data": {"type": "dataset", "with": {"ref": "nowhere"}}}
    await cluster.start(
        "storage",
        {"job": script("echo x >/outputs/data/x", outputs=outputs), "plain": script("true")},
        policy={"datasets": {"provider": "nowhere"}},
    )
    message = await cluster.waiting("storage", "job", "StorageUnavailable")
    assert "does not answer" in message
    seen = await cluster.until(
        RUNS, "storage", lambda run: run["status"]["jobs"]["plain"]["phase"] == "Succeeded"
    )
    assert seen["status"]["phase"] == "Running"


async def test_cancel_stops_what_runs_and_what_has_not_begun(cluster: Cluster) -> None:
    outputs = {"data": {"type": "dataset", "with": {"ref": "cancelled"}}}
    await cluster.start(
        "cancel",
        {
            "long": script("trap 'exit 0' TERM; sleep 600 & wait", outputs=outputs),
            "after": script("true", needs=["long"]),
        },
    )
    await cluster.until(
        RUNS,
        "cancel",
        lambda run: run.get("status", {}).get("jobs", {}).get("long", {}).get("phase") == "Running",
    )
    cluster.gradient("cancel", "cancel")
    status = await cluster.ended("cancel")
    assert status["phase"] == "Cancelled"
    assert {job["phase"] for job in status["jobs"].values()} == {"Cancelled"}
    listed = await cluster.client.list_all(DATASET_VERSIONS, namespace=cluster.namespace)
    assert listed.items == []


async def test_a_pod_deleted_by_hand_is_replaced_and_counts_as_nobodys_fault(
    cluster: Cluster,
) -> None:
    await cluster.start("deleted", {"job": script("sleep 5")})
    seen = await cluster.until(
        RUNS,
        "deleted",
        lambda run: run.get("status", {}).get("jobs", {}).get("job", {}).get("phase") == "Running",
    )
    pod = seen["status"]["jobs"]["job"]["pod"]
    await cluster.client.delete(PODS, name=pod, namespace=cluster.namespace, grace_seconds=1)
    status = await cluster.succeeded("deleted")
    assert status["jobs"]["job"]["attempt"] == 2
    assert status["jobs"]["job"]["infraFailures"] == 1
    assert not await cluster.exists(PODS, pod), "nothing hangs on our finalizer"


async def test_a_deleted_run_stops_at_once_even_a_job_that_ignores_the_signal(
    cluster: Cluster,
) -> None:
    outputs = {"data": {"type": "dataset", "with": {"ref": "unwanted"}}}
    await cluster.start("unwanted", {"job": script("trap '' TERM; sleep 3000", outputs=outputs)})

    def runs(item: Seen) -> bool:
        jobs = item.get("status", {}).get("jobs", {})
        return bool(jobs.get("job", {}).get("phase") == "Running")

    await cluster.until(RUNS, "unwanted", runs)
    pod = (await cluster.pods("unwanted"))["job"]["metadata"]["name"]
    cluster.kubectl("delete", "gradientrun", "unwanted", "--wait=true", "--timeout=30s")
    # 30 s for main, then the uploader's least, and what the kubelet needs; not the hour.
    cluster.kubectl("wait", "--for=delete", f"pod/{pod}", "--timeout=120s")
    assert not await cluster.exists(PODS, pod)
