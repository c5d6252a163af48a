"""What happens to outputs when something goes wrong: each line of the failure table, for real.

After each: no version that is not complete, the reason in words, retried where the policy says so
and nowhere else. How often a job ran is counted outside its Pods.
"""

import asyncio
import signal
import time

import pytest

from gradient_operator.api.times import parse_time
from gradient_operator.kube.resources import PODS
from tests.e2e.cluster import Seen
from tests.e2e.gate import Place
from tests.e2e.node import send
from tests.e2e.side_by_side import Scenario, UnderWay, each

pytestmark = pytest.mark.asyncio(loop_scope="module")
ONCE = {"infraRetries": 0}


def uploader(pod: Seen) -> Seen:
    """The uploader's status in a Pod."""
    found: Seen = next(
        item
        for item in pod["status"].get("initContainerStatuses", ())
        if item["name"] == "uploader"
    )
    return found


def runs_again(restarts: int) -> object:
    """Whether the uploader was restarted that often and runs."""
    return lambda pod: (
        uploader(pod)["restartCount"] >= restarts and "running" in uploader(pod)["state"]
    )


async def delete(place: Place, pod: Seen, *how: str) -> None:
    """As a person does it."""
    words = ("delete", "pod", pod["metadata"]["name"], "--wait=false", *how)
    await asyncio.to_thread(place.cluster.kubectl, *words)


async def a_second_after(pod: Seen) -> None:
    """Until the clock shows another second than that in which main ended."""
    main = pod["status"]["containerStatuses"][0]
    ended = parse_time(main["state"]["terminated"]["finishedAt"]) or 0
    await asyncio.sleep(max(0.0, ended + 1.1 - time.time()))


async def uploader_is_killed_while_the_job_runs(place: Place, run: str) -> None:
    """It is started again and knows nothing of before: nothing is lost."""
    await place.begin(run, "say wait")
    pod = await place.in_phase(run, "Running")
    send(pod, "uploader", signal.SIGKILL)
    await place.pod(pod, runs_again(1))
    await place.release(run)
    record = await place.ended(run, "Succeeded", attempt=1)
    assert "infraFailures" not in record
    assert await place.times_run(run) == 1


async def uploader_is_killed_while_it_uploads(place: Place, run: str) -> None:
    """The kubelet does not start it again: the whole job is run again."""
    await place.gate(run, "hold")
    await place.begin(run)
    pod = await place.in_phase(run, "Uploading")
    send(pod, "uploader", signal.SIGKILL)
    record = await place.job(run, lambda job: job.get("infraFailures") == 1)
    assert record["reason"] == "UploadFailed"
    assert "uploading its outputs failed (exit code 137)" in record["message"]
    await place.gate(run, "open")
    await place.ended(run, "Succeeded", attempt=2, infraFailures=1)
    assert await place.times_run(run) == 2


async def job_ends_before_its_uploader_is_started_again(place: Place, run: str) -> None:
    """A Pod that ends while its uploader waits to be restarted has uploaded nothing."""
    await place.begin(run, "say wait")
    pod = await place.in_phase(run, "Running")
    send(pod, "uploader", signal.SIGKILL)
    pod = await place.pod(pod, runs_again(1))
    send(pod, "uploader", signal.SIGKILL)
    await place.pod(pod, lambda seen: "running" not in uploader(seen)["state"])
    await place.release(run)
    record = await place.job(run, lambda job: job.get("infraFailures") == 1)
    assert record["reason"] == "UploadFailed"
    await place.ended(run, "Succeeded", attempt=2, infraFailures=1)
    assert await place.times_run(run) == 2


async def job_fails(place: Place, run: str) -> None:
    """What it had written is not kept, and nobody waits for its upload."""
    await place.gate(run, "hold")
    await place.begin(run, "say mark; echo the sea is dry; exit 3")
    record = await place.ended(run, "Failed", attempt=1, reason="ExitCode", exitCode=3)
    assert "the sea is dry" in record["message"]
    await place.gate(run, "open")
    assert await place.times_run(run) == 1


async def job_runs_out_of_memory(place: Place, run: str) -> None:
    """The uploader has memory of its own and survives; the attempt has failed all the same."""
    await place.begin(run, "say mark; exec python3 -c 'bytearray(1 << 30)'")
    record = await place.ended(run, "Failed", attempt=1, reason="OutOfMemory", exitCode=137)
    assert "more memory" in record["message"]
    assert await place.times_run(run) == 1


async def storage_is_away_before_the_job_starts(place: Place, run: str) -> None:
    """No Pod is made, so that no GPU waits for a bucket; it goes on by itself."""
    await place.gate(run, "down")
    await place.begin(run)
    message = await place.cluster.waiting(run, "job", "StorageUnavailable")
    assert "does not answer" in message
    assert await place.cluster.pods(run) == {}
    await place.gate(run, "open")
    await place.ended(run, "Succeeded", attempt=1)
    assert await place.times_run(run) == 1


async def storage_goes_away_during_the_upload(place: Place, run: str) -> None:
    """The uploader tries again until the storage is back: the same attempt succeeds."""
    await place.gate(run, "hold")
    await place.begin(run)
    await place.in_phase(run, "Uploading")
    await place.gate(run, "down")
    record = await place.job(run, lambda job: job.get("reason") == "StorageUnavailable")
    assert "does not answer" in record["message"]
    await place.gate(run, "open")
    record = await place.ended(run, "Succeeded", attempt=1)
    assert "infraFailures" not in record
    assert await place.times_run(run) == 1


async def storage_is_away_for_longer_than_the_grace(place: Place, run: str) -> None:
    """The attempt has failed; the next one waits for the storage and does not use up retries."""
    await place.gate(run, "hold")
    await place.begin(run, policy={"uploadSeconds": 40, "infraRetries": 1})
    await place.in_phase(run, "Uploading")
    await place.gate(run, "down")
    record = await place.job(run, lambda job: job.get("infraFailures") == 1)
    assert record["reason"] in {"StorageUnavailable", "GracePeriodTooShort"}, record
    waits = await place.job(
        run, lambda job: job["phase"] == "Pending" and "does not answer" in job.get("message", "")
    )
    assert waits["attempt"] == 1
    await place.gate(run, "open")
    await place.ended(run, "Succeeded", attempt=2, infraFailures=1)
    assert await place.times_run(run) == 2


async def upload_is_slower_than_its_grace(place: Place, run: str) -> None:
    """Without a retry that is the end, and the message says what to change."""
    await place.gate(run, "hold")
    await place.begin(run, policy={"uploadSeconds": 12, **ONCE})
    record = await place.ended(run, "Failed", attempt=1, infraFailures=1)
    assert record["reason"] == "GracePeriodTooShort"
    assert "grace period of 12 s" in record["message"]
    assert await place.times_run(run) == 1


async def pod_is_deleted_by_hand_while_the_job_runs(place: Place, run: str) -> None:
    """With a grace period of the request's own even a job that ignores the signal ends."""
    await place.begin(run, "trap '' TERM; say wait")
    pod = await place.in_phase(run, "Running")
    await delete(place, pod, "--grace-period=2")
    record = await place.job(run, lambda job: job.get("infraFailures") == 1)
    assert record["reason"] == "PodDeleted"
    await place.release(run)
    await place.ended(run, "Succeeded", attempt=2, infraFailures=1)
    assert await place.times_run(run) == 2
    assert not await place.cluster.exists(PODS, pod["metadata"]["name"])


async def pod_is_deleted_by_hand_with_all_the_time_of_an_upload(place: Place, run: str) -> None:
    """Nothing makes the kubelet hurry afterwards: no second attempt beside the first meanwhile."""
    await place.begin(run, "trap '' TERM; say wait")
    pod = await place.in_phase(run, "Running")
    await delete(place, pod)
    record = await place.job(run, lambda job: job.get("reason") == "Stopping")
    assert (record["phase"], record["attempt"]) == ("Running", 1)
    assert "has 3600 s to stop" in record["message"]
    await delete(place, pod, "--grace-period=1")
    await place.pod(pod, lambda seen: seen["metadata"]["deletionGracePeriodSeconds"] == 1)
    await place.release(run)
    await place.ended(run, "Succeeded", attempt=2, infraFailures=1)
    assert await place.times_run(run) == 2


async def job_ends_well_because_its_pod_is_deleted(place: Place, run: str) -> None:
    """What it had written by then is no complete version, whatever its exit code says."""
    await place.begin(run, "trap 'exit 0' TERM; say mark; sleep 600 & wait", policy=ONCE)
    pod = await place.in_phase(run, "Running")
    await place.reported(run)
    await delete(place, pod)
    await place.ended(run, "Failed", attempt=1, reason="PodDeleted", infraFailures=1)


async def pod_is_deleted_by_hand_during_the_upload(place: Place, run: str) -> None:
    """The job's work is done: the upload goes on to its end and counts."""
    await place.gate(run, "hold")
    await place.begin(run)
    pod = await place.in_phase(run, "Uploading")
    await a_second_after(pod)
    await delete(place, pod, "--grace-period=1")
    await place.pod(pod, lambda seen: "deletionTimestamp" in seen["metadata"])
    await place.gate(run, "open")
    record = await place.ended(run, "Succeeded", attempt=1)
    assert "infraFailures" not in record
    assert await place.times_run(run) == 1


async def run_is_cancelled_while_the_job_runs(place: Place, run: str) -> None:
    """Even a job that ignores the signal ends within the half minute that it is given."""
    await place.begin(run, "trap '' TERM; say wait")
    await place.in_phase(run, "Running")
    await asyncio.to_thread(place.cluster.gradient, "cancel", run)
    await place.ended(run, "Cancelled", attempt=1)
    assert await place.times_run(run) == 1


async def run_is_cancelled_during_the_upload(place: Place, run: str) -> None:
    """Only a mark in the storage reaches an uploader at work; there it lies when it looks."""
    await place.begin(run, "say wait", gated=False)
    pod = await place.in_phase(run, "Running")
    send(pod, "uploader", signal.SIGSTOP)
    await place.release(run)
    await place.in_phase(run, "Uploading")
    await asyncio.to_thread(place.cluster.gradient, "cancel", run)
    await place.job(run, lambda job: job.get("reason") == "Cancelling")
    send(pod, "uploader", signal.SIGCONT)
    await place.ended(run, "Cancelled", attempt=1)
    ended = await place.pod(pod, lambda seen: "terminated" in uploader(seen)["state"])
    assert uploader(ended)["state"]["terminated"]["exitCode"] == 74
    assert "does not need the outputs" in uploader(ended)["state"]["terminated"]["message"]


async def output_grows_beyond_its_limit(place: Place, run: str) -> None:
    """The kubelet evicts it; another attempt would only write as much."""
    await place.begin(
        run,
        "say mark; head -c 30000000 /dev/zero >/outputs/d/large; sleep 600",
        policy={"outputsSize": "10Mi"},
    )
    record = await place.ended(run, "Failed", attempt=1, reason="OutputsTooLarge")
    assert "10Mi" in record["message"]
    assert "outputsSize" in record["message"]
    assert await place.times_run(run) == 1


SCENARIOS: list[Scenario] = [
    output_grows_beyond_its_limit,
    uploader_is_killed_while_the_job_runs,
    uploader_is_killed_while_it_uploads,
    job_ends_before_its_uploader_is_started_again,
    job_fails,
    job_runs_out_of_memory,
    storage_is_away_before_the_job_starts,
    storage_goes_away_during_the_upload,
    storage_is_away_for_longer_than_the_grace,
    upload_is_slower_than_its_grace,
    pod_is_deleted_by_hand_while_the_job_runs,
    pod_is_deleted_by_hand_with_all_the_time_of_an_upload,
    job_ends_well_because_its_pod_is_deleted,
    pod_is_deleted_by_hand_during_the_upload,
    run_is_cancelled_while_the_job_runs,
    run_is_cancelled_during_the_upload,
]


@each(SCENARIOS)
async def test_when(under_way: UnderWay, scenario: Scenario) -> None:
    """The scenario asserts by itself what came of it; what failed in it fails here."""
    await under_way[scenario]
