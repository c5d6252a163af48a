"""What `gradient why` says of written-down runs, Pods and Events."""

import json

import pytest

from gradient_operator.cli import why
from gradient_operator.engine.reasons import REASONS
from gradient_operator.kube.errors import Forbidden
from gradient_operator.kube.resources import CORE_EVENTS, PODS, RUNS
from tests.unit.cli.fake import CREATED, run_object

NOON = 1769860800.0
"""`CREATED` in seconds since the epoch."""
GPU = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}


@pytest.fixture(autouse=True)
def ten_minutes_later(monkeypatch):
    monkeypatch.setattr(why.time, "time", lambda: NOON + 600)


def pod(name, run, *, job="Train", uid=None, message="", node="", started="", containers=(GPU,)):
    conditions = []
    if message:
        conditions = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
                "lastTransitionTime": "2026-01-31T12:02:00Z",
            }
        ]
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "creationTimestamp": CREATED,
            "labels": {
                "app.kubernetes.io/managed-by": "gradient-operator",
                "gradient.run/run-uid": uid or f"uid-of-{run}",
            },
            "annotations": {"gradient.run/run": run, "gradient.run/job": job},
        },
        "spec": {"containers": list(containers), **({"nodeName": node} if node else {})},
        "status": {
            "phase": "Running" if started else "Pending",
            "conditions": conditions,
            **({"startTime": started} if started else {}),
        },
    }


def event(name, number, reason, message, *, kind="Pod", type_="Normal"):
    return {
        "metadata": {"name": f"{name}-{number}", "creationTimestamp": CREATED},
        "involvedObject": {"kind": kind, "name": name, "uid": f"uid-of-{name}"},
        "reason": reason,
        "message": message,
        "type": type_,
        "lastTimestamp": f"2026-01-31T12:0{number}:00Z",
    }


def waiting(client, reason, message="it waits", *, phase="Pending", **more):
    state = {"phase": phase, "reason": reason, "message": message, "readyAt": CREATED, **more}
    client.add(
        RUNS,
        run_object(
            phase="Running", jobs={"Train": state}, startedAt=CREATED, progress="0/1", message="…"
        ),
    )


def answer(gradient):
    code, out, _ = gradient("why", "train-aaaa", "-o", "json")
    assert code == 0
    return json.loads(out)


def only(gradient):
    (wait,) = answer(gradient)["waits"]
    return wait


def test_a_busy_gpu_is_shown_with_the_runs_that_hold_one(gradient, client):
    waiting(client, "GPUBusy", "waits for room", phase="Starting", pod="p")
    said = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    client.add(PODS, pod("p", "train-aaaa", message=said))
    client.add(
        PODS,
        pod("q", "other-run", node="gpu-1", started="2026-01-31T11:00:00Z"),
        namespace="rivals",
    )
    client.add(PODS, pod("r", "cpu-run", node="cpu-1", containers=({},)))
    code, out, _ = gradient("why", "train-aaaa")
    assert code == 0
    assert out == (
        "Run train-aaaa in namespace team: Running, 0/1 jobs finished, started 10m 00s ago\n"
        "\n"
        "Waits: GPU busy (GPUBusy), for 8m 00s\n"
        "  jobs     Train\n"
        "  why      waits for room\n"
        "           - 2 nodes: not enough nvidia.com/gpu free\n"
        "  held by  run other-run in namespace rivals: job Train, 1 GPU on gpu-1, for 1h 10m\n"
        f"  do       {REASONS['GPUBusy'].remedy}\n"
        "           gradient cancel other-run -n rivals\n"
        "\n"
        "Next\n"
        "  gradient logs train-aaaa -n team -f  (the logs of its jobs)\n"
        "  gradient show train-aaaa -n team -f  (follow it)\n"
        "  gradient cancel train-aaaa -n team  (stop it)\n"
    )


def test_without_the_right_to_read_other_namespaces_the_own_one_is_looked_at(
    gradient, client, monkeypatch
):
    waiting(client, "GPUBusy", phase="Starting", pod="p")
    client.add(PODS, pod("p", "train-aaaa", message="0/1 nodes are available: 1 Insufficient gpu."))
    client.add(PODS, pod("q", "ours", node="gpu-1", started=CREATED))
    listed = client.list_all

    async def only_own(resource, *, namespace=None, **more):
        if namespace is None:
            raise Forbidden("pods is forbidden")
        return await listed(resource, namespace=namespace, **more)

    monkeypatch.setattr(client, "list_all", only_own)
    assert [holder["run"] for holder in only(gradient)["heldBy"]] == ["ours"]


def test_an_upload_lasts_since_the_job_has_ended(gradient, client):
    waiting(client, "", "", phase="Uploading", pod="p", finishedAt="2026-01-31T12:09:00Z")
    scheduled = pod("p", "train-aaaa", started=CREATED)
    condition = {"type": "PodScheduled", "status": "True", "lastTransitionTime": CREATED}
    scheduled["status"]["conditions"] = [condition]
    client.add(PODS, scheduled)
    wait = only(gradient)
    assert (wait["reason"], wait["seconds"]) == ("Uploading", 60)


def test_a_full_quota_is_shown_with_who_has_most_of_it(gradient, client):
    waiting(client, "QuotaExceeded", "exceeded quota: team")
    for number, run in enumerate(("big", "small", "big")):
        client.add(PODS, pod(f"p{number}", run))
    wait = only(gradient)
    assert [(holder["run"], holder["what"]) for holder in wait["heldBy"]] == [
        ("big", "2 Pods"),
        ("small", "1 Pod"),
    ]
    assert wait["since"] == CREATED


def test_an_image_that_is_being_pulled_is_told_from_a_start(gradient, client):
    waiting(client, "Starting", "its containers are being started", phase="Starting", pod="p")
    client.add(PODS, pod("p", "train-aaaa", node="cpu-1"))
    client.add(CORE_EVENTS, event("p", 1, "Pulling", 'Pulling image "big:1"'))
    wait = only(gradient)
    assert (wait["reason"], wait["message"]) == ("ImagePulling", 'Pulling image "big:1"')
    assert wait["since"] == "2026-01-31T12:01:00Z"
    client.add(CORE_EVENTS, event("p", 2, "Pulled", 'Successfully pulled image "big:1"'))
    assert only(gradient)["reason"] == "Starting"


def test_an_unbound_claim_is_shown_with_what_its_provisioner_says(gradient, client):
    waiting(client, "ClaimUnbound", "its claim is not bound", phase="Starting", pod="p")
    body = client.of(RUNS)["train-aaaa"]
    body["status"]["volumes"] = {"a.v": {"mode": "ReadWriteOnce", "reason": "", "claim": "c"}}
    client.add(RUNS, body)
    unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    mounted = pod("p", "train-aaaa", message=unbound)
    mounted["spec"]["volumes"] = [{"persistentVolumeClaim": {"claimName": "c"}}]
    client.add(PODS, mounted)
    text = "storageclass.storage.k8s.io fast not found"
    kind = "PersistentVolumeClaim"
    client.add(CORE_EVENTS, event("c", 1, "ProvisioningFailed", text, kind=kind))
    assert only(gradient)["details"][-1] == f"claim c: {text}"


def test_a_run_in_line_names_the_run_that_is_under_way(gradient, client):
    text = "waits for run train-bbbb: concurrency group 'gpu' has one at a time"
    condition = {
        "type": "Succeeded",
        "status": "Unknown",
        "reason": "Queued",
        "lastTransitionTime": "2026-01-31T12:01:00Z",
    }
    client.add(RUNS, run_object(phase="Pending", message=text, conditions=[condition]))
    held = run_object("train-bbbb", phase="Running", progress="1/2", startedAt=CREATED)
    client.add(RUNS, held)
    wait = only(gradient)
    assert (wait["reason"], wait["seconds"]) == ("Queued", 540)
    assert wait["heldBy"] == [
        {
            "run": "train-bbbb",
            "namespace": "team",
            "what": "Running, 1/2 jobs finished",
            "since": CREATED,
        }
    ]


def test_a_clock_says_when_it_goes_on(gradient, client):
    waiting(client, "ExitCode", "exit code 3", retryAt="2026-01-31T12:10:30Z")
    wait = only(gradient)
    assert (wait["reason"], wait["until"]) == ("Retrying", "2026-01-31T12:10:30Z")
    assert "until in 30s" in gradient("why", "train-aaaa")[1]


def test_jobs_that_wait_alike_stand_together(gradient, client):
    state = {"phase": "Pending", "reason": "StorageUnavailable", "message": "no answer"}
    jobs = {name: state | {"readyAt": CREATED} for name in "ab"}
    client.add(RUNS, run_object(phase="Running", jobs=jobs, startedAt=CREATED))
    assert only(gradient)["jobs"] == ["a", "b"]


def test_a_run_that_works_says_so(gradient, client):
    state = {"phase": "Running", "node": "cpu-1", "startedAt": CREATED}
    client.add(RUNS, run_object(phase="Running", jobs={"a": state}, startedAt=CREATED))
    code, out, _ = gradient("why", "train-aaaa")
    assert code == 0
    assert "Works\n  a: Running on cpu-1, for 10m 00s\n" in out
    assert "Waits" not in out


def test_a_run_that_nobody_looked_at_points_at_the_operator(gradient, client):
    client.add(RUNS, run_object())
    wait = only(gradient)
    assert (wait["reason"], wait["kind"]) == ("NotSeen", "blocked")
    assert "kubectl get pods -A" in wait["remedy"]


def test_a_deleted_run_that_stays_says_why(gradient, client):
    body = run_object(phase="Running", startedAt=CREATED)
    body["metadata"]["deletionTimestamp"] = CREATED
    client.add(RUNS, body)
    assert answer(gradient)["waits"][0]["reason"] == "Deleting"


def test_of_a_failed_run_the_first_failure_stands_first_with_its_last_lines(gradient, client):
    def failed(time, **more):
        return {"phase": "Failed", "attempt": 1, "finishedAt": f"2026-01-31T12:{time}Z", **more}

    jobs = {
        "late": failed("05:00", reason="NodeLost", message="node gone"),
        "early": failed("01:00", reason="ExitCode", message="exit code 3: short\nlast", pod="p"),
        "after": {"phase": "Omitted", "reason": "NeedNotMet", "message": "early failed"},
    }
    client.add(RUNS, run_object(phase="Failed", jobs=jobs, startedAt=CREATED))
    found = answer(gradient)
    assert [cause["job"] for cause in found["causes"]] == ["early", "late"]
    assert found["causes"][0]["log"] == ["last"], "the Pod is gone: the status has the end of it"
    assert found["ended"] == {"NeedNotMet": ["after"]}
    client.logs["p", "main"] = [b"one", b"two"]
    assert answer(gradient)["causes"][0]["log"] == ["one", "two"]
    out = gradient("why", "train-aaaa")[1]
    assert "Failed first: job early, attempt 1: ExitCode, 9m 00s ago\n" in out
    assert "           | two\n" in out
    assert "  after: a job that it needs did not succeed (NeedNotMet)\n" in out


def test_a_refused_run_says_why_with_the_remedy(gradient, client):
    conditions = [{"type": "Succeeded", "status": "False", "reason": "DatasetNotFound"}]
    text = "dataset 'mnist' does not exist"
    client.add(RUNS, run_object(phase="Failed", message=text, conditions=conditions))
    (cause,) = answer(gradient)["causes"]
    assert (cause["reason"], cause["message"]) == ("DatasetNotFound", text)
    assert "gradient dataset put" in cause["remedy"]


def test_a_run_that_succeeded_says_so(gradient, client):
    client.add(RUNS, run_object(phase="Succeeded", startedAt=CREATED))
    assert "It succeeded.\n" in gradient("why", "train-aaaa")[1]
