"""Each way in which an attempt can end, as a kubelet reports it, and what it is judged to be."""

import pytest

from gradient_operator.engine.model import (
    FailureClass,
    JobPhase,
    OutputRecord,
    UploadResult,
)
from gradient_operator.engine.outcome import Broken, Done, Going, Unread, judge
from tests.builders import DIGEST, ended, failed_pod, make_pod, running, succeeded_pod, waiting

RESULT = UploadResult(outputs={"model": OutputRecord(digest=DIGEST, bytes=3, files=1)})


def uploading(**changes):
    """A Pod with an uploader whose main has ended well at 100 s."""
    return make_pod(
        **{"phase": "Running", "main": ended(0, at=100), "has_uploader": True, **changes}
    )


GOING = {
    "not on a node yet": (make_pod(node=""), JobPhase.STARTING),
    "its image is pulled": (make_pod(main=waiting("ContainerCreating")), JobPhase.STARTING),
    "no container is known yet": (make_pod(main=None), JobPhase.STARTING),
    "inputs are fetched": (make_pod(fetch=running()), JobPhase.STARTING),
    "inputs were fetched": (make_pod(fetch=ended(0)), JobPhase.STARTING),
    "main runs": (make_pod(main=running()), JobPhase.RUNNING),
    "main runs and the uploader crashed once": (
        make_pod(main=running(), has_uploader=True, uploader=waiting("CrashLoopBackOff")),
        JobPhase.RUNNING,
    ),
    "main runs though its Pod is being deleted": (
        make_pod(main=running(), deletion_at=30.0),
        JobPhase.RUNNING,
    ),
    "main has ended and the uploader works": (uploading(uploader=running()), JobPhase.UPLOADING),
    "main has ended and nothing is known of the uploader": (
        uploading(uploader=None),
        JobPhase.UPLOADING,
    ),
    "the uploader ended before main and may be started again": (
        uploading(uploader=ended(0, at=99)),
        JobPhase.UPLOADING,
    ),
}


@pytest.mark.parametrize(("pod", "phase"), GOING.values(), ids=GOING)
def test_an_attempt_is_under_way(pod, phase):
    assert judge(pod, None) == Going(phase)


def test_a_job_without_outputs_is_done_when_main_has_ended_well():
    assert judge(succeeded_pod(), None) == Done(None)


def test_a_job_is_done_before_the_phase_of_its_pod_says_so():
    assert judge(make_pod(phase="Running", main=ended(0)), None) == Done(None)


def test_a_job_with_outputs_is_done_when_its_result_can_be_read():
    pod = uploading(phase="Succeeded", uploader=ended(0, at=101))
    assert judge(pod, RESULT) == Done(RESULT)


def test_an_uploader_that_ends_within_the_same_second_counts():
    assert judge(uploading(uploader=ended(0, at=100)), RESULT) == Done(RESULT)


def test_a_result_that_did_not_fit_has_to_be_read():
    pod = uploading(phase="Succeeded", uploader=ended(0, at=101))
    assert judge(pod, UploadResult(truncated=True)) == Unread()


@pytest.mark.parametrize(
    "changes",
    [
        {"deletion_at": 131.0, "deletion_grace": 30},
        {"disruption": "EvictionByEvictionAPI", "disrupted_at": 101.0},
    ],
    ids=["deleted", "evicted"],
)
def test_what_happens_to_a_pod_after_main_has_ended_well_changes_nothing(changes):
    pod = uploading(phase="Succeeded", uploader=ended(0, at=140), **changes)
    assert judge(pod, RESULT) == Done(RESULT)


BROKEN = {
    "main exits with a code": (
        failed_pod(code=3, main=ended(3, message="line 1\nboom\n")),
        None,
        (FailureClass.USER, "ExitCode", "exit code 3: line 1\nboom"),
    ),
    "main fails without a word": (
        failed_pod(code=1),
        None,
        (FailureClass.USER, "ExitCode", "exit code 1"),
    ),
    "main fails while the uploader still runs": (
        make_pod(phase="Running", main=ended(2), has_uploader=True, uploader=running()),
        None,
        (FailureClass.USER, "ExitCode", "exit code 2"),
    ),
    "main fails and the uploader succeeds": (
        failed_pod(has_uploader=True, uploader=ended(0, at=101)),
        RESULT,
        (FailureClass.USER, "ExitCode", "exit code 1"),
    ),
    "main runs out of memory": (
        failed_pod(main=ended(137, reason="OOMKilled")),
        None,
        (
            FailureClass.OUT_OF_MEMORY,
            "OutOfMemory",
            "it ran out of memory (exit code 137): choose a machine type with more memory",
        ),
    ),
    "main cannot be started": (
        failed_pod(main=ended(128, reason="StartError", message='exec: "bash": not found')),
        None,
        (
            FailureClass.USER,
            "CommandNotRunnable",
            'its command cannot be run (exit code 128): exec: "bash": not found',
        ),
    ),
    "main 0, uploader 1, phase Succeeded": (
        uploading(phase="Succeeded", uploader=ended(1, at=101, message="Traceback …")),
        UploadResult(unreadable=True),
        (
            FailureClass.UPLOAD,
            "UploadFailed",
            "uploading its outputs failed (exit code 1): Traceback …",
        ),
    ),
    "the uploader is killed during the upload, phase Succeeded": (
        uploading(phase="Succeeded", uploader=ended(137, at=101)),
        UploadResult(unreadable=True),
        (FailureClass.UPLOAD, "UploadFailed", "uploading its outputs failed (exit code 137)"),
    ),
    "the uploader had ended before main": (
        uploading(phase="Succeeded", uploader=ended(0, at=99)),
        None,
        (FailureClass.UPLOAD, "UploadFailed", "the uploader had ended before the job did"),
    ),
    "main ended while the uploader waited to be started again": (
        uploading(phase="Succeeded", uploader=waiting("CrashLoopBackOff")),
        None,
        (FailureClass.UPLOAD, "UploadFailed", "the uploader did not run"),
    ),
    "the uploader left no message": (
        uploading(phase="Succeeded", uploader=ended(0, at=101)),
        None,
        (FailureClass.UPLOAD, "UploadFailed", "the uploader's result cannot be read"),
    ),
    "the uploader's message was cut": (
        uploading(phase="Succeeded", uploader=ended(0, at=101)),
        UploadResult(error="not JSON", unreadable=True),
        (FailureClass.UPLOAD, "UploadFailed", "the uploader's result cannot be read: not JSON"),
    ),
    "the outputs cannot be committed": (
        uploading(phase="Succeeded", uploader=ended(0, at=101)),
        UploadResult(error="dataset 'x' must exist", reason="CommitRefused", refused=True),
        (FailureClass.DATA, "CommitRefused", "dataset 'x' must exist"),
    ),
    "the outputs are unusable (65)": (
        uploading(phase="Succeeded", uploader=ended(65, at=101)),
        UploadResult(error="The string s is no text.", reason="OutputRefused"),
        (
            FailureClass.DATA,
            "OutputRefused",
            "uploading its outputs failed (exit code 65): The string s is no text.",
        ),
    ),
    "the storage does not answer the uploader (75)": (
        uploading(phase="Succeeded", uploader=ended(75, at=101)),
        UploadResult(error="It does not answer.", reason="StorageUnavailable"),
        (
            FailureClass.STORAGE,
            "StorageUnavailable",
            "uploading its outputs failed (exit code 75): It does not answer.",
        ),
    ),
    "the node runs out of disk": (
        failed_pod(
            reason="Evicted",
            message="The node was low on resource: ephemeral-storage.",
            main=ended(137),
        ),
        None,
        (
            FailureClass.EVICTED,
            "Evicted",
            "it was evicted from cpu-1: The node was low on resource: ephemeral-storage.",
        ),
    ),
    "the outputs grow beyond their limit": (
        failed_pod(
            reason="Evicted",
            message='Usage of EmptyDir volume "outputs" exceeds the limit "10Mi". ',
            main=ended(137),
        ),
        None,
        (
            FailureClass.USER,
            "OutputsTooLarge",
            (
                "it wrote more than 10Mi under /outputs and was stopped: raise "
                "policy.outputsSize, or write less"
            ),
        ),
    ),
    "main ends well because its Pod is deleted": (
        uploading(
            phase="Succeeded", uploader=ended(0, at=101), deletion_at=130.0, deletion_grace=30
        ),
        RESULT,
        (FailureClass.DELETED, "PodDeleted", "Pod w-a-1-hash was deleted"),
    ),
    "main ends well because its node shuts down": (
        make_pod(phase="Failed", main=ended(0), disruption="TerminationByKubelet", disrupted_at=99),
        None,
        (FailureClass.EVICTED, "Evicted", "it was evicted from cpu-1: TerminationByKubelet"),
    ),
    "evicted before any container was known": (
        make_pod(phase="Failed", reason="Evicted", message="Too full.", main=None),
        None,
        (FailureClass.EVICTED, "Evicted", "it was evicted from cpu-1: Too full."),
    ),
    "evicted through the API, as kubectl drain does": (
        failed_pod(disruption="EvictionByEvictionAPI", main=ended(143), deletion_at=30.0),
        None,
        (FailureClass.EVICTED, "Evicted", "it was evicted from cpu-1: EvictionByEvictionAPI"),
    ),
    "the kubelet shuts down": (
        failed_pod(disruption="TerminationByKubelet", main=ended(143)),
        None,
        (FailureClass.EVICTED, "Evicted", "it was evicted from cpu-1: TerminationByKubelet"),
    ),
    "evicted during the upload": (
        uploading(phase="Failed", reason="Evicted", message="Full.", uploader=ended(137, at=101)),
        None,
        (FailureClass.EVICTED, "Evicted", "it was evicted from cpu-1: Full."),
    ),
    "evicted during the upload, nothing known of the uploader": (
        uploading(phase="Failed", reason="Evicted", message="Full."),
        None,
        (FailureClass.EVICTED, "Evicted", "it was evicted from cpu-1: Full."),
    ),
    "preempted": (
        failed_pod(disruption="PreemptionByScheduler", main=ended(143), deletion_at=30.0),
        None,
        (FailureClass.PREEMPTED, "Preempted", "a Pod of higher priority took its place"),
    ),
    "the node is gone": (
        make_pod(phase="Failed", disruption="DeletionByPodGC", main=running(), deletion_at=30.0),
        None,
        (FailureClass.NODE_LOST, "NodeLost", "node cpu-1 was lost: DeletionByPodGC"),
    ),
    "the node did not answer for five minutes": (
        failed_pod(disruption="DeletionByTaintManager", main=ended(137), deletion_at=30.0),
        None,
        (FailureClass.NODE_LOST, "NodeLost", "node cpu-1 was lost: DeletionByTaintManager"),
    ),
    "the node is shut down": (
        failed_pod(
            reason="Terminated",
            message="Pod was terminated in response to imminent node shutdown.",
            main=ended(143),
        ),
        None,
        (
            FailureClass.NODE_LOST,
            "NodeLost",
            "node cpu-1 was lost: Pod was terminated in response to imminent node shutdown.",
        ),
    ),
    "deleted by hand while main ran": (
        failed_pod(code=137, deletion_at=30.0),
        None,
        (FailureClass.DELETED, "PodDeleted", "Pod w-a-1-hash was deleted"),
    ),
    "deleted by hand before it had a node": (
        make_pod(node="", deletion_at=30.0),
        None,
        (FailureClass.DELETED, "PodDeleted", "Pod w-a-1-hash was deleted"),
    ),
    "deleted by hand during the upload": (
        uploading(phase="Failed", uploader=ended(137, at=101), deletion_at=30.0),
        None,
        (FailureClass.DELETED, "PodDeleted", "Pod w-a-1-hash was deleted"),
    ),
    "refused by the kubelet": (
        make_pod(phase="Failed", reason="OutOfcpu", message="Node didn't have enough resource"),
        None,
        (
            FailureClass.NOT_STARTED,
            "OutOfcpu",
            "node cpu-1 did not take the Pod: Node didn't have enough resource",
        ),
    ),
    "ended for no reason given": (
        make_pod(phase="Failed"),
        None,
        (
            FailureClass.NOT_STARTED,
            "PodFailed",
            "the Pod ended before the job ran: no reason was given",
        ),
    ),
}


@pytest.mark.parametrize(("pod", "result", "failure"), BROKEN.values(), ids=BROKEN)
def test_an_attempt_has_failed(pod, result, failure):
    outcome = judge(pod, result)
    assert isinstance(outcome, Broken)
    found = outcome.failure
    assert (found.kind, found.reason, found.message) == failure


FETCH = {
    65: (FailureClass.DATA, "OutputRefused"),
    66: (FailureClass.DATA, "InputMissing"),
    67: (FailureClass.DATA, "InputCorrupt"),
    75: (FailureClass.STORAGE, "StorageUnavailable"),
    77: (FailureClass.STORAGE, "StorageRefused"),
    1: (FailureClass.STORAGE, "FetchFailed"),
    137: (FailureClass.STORAGE, "FetchFailed"),
}


@pytest.mark.parametrize(("code", "kind"), FETCH.items(), ids=FETCH)
def test_inputs_that_cannot_be_fetched_fail_by_their_exit_code(code, kind):
    pod = make_pod(phase="Failed", fetch=ended(code, message="It said so."))
    outcome = judge(pod, None)
    assert isinstance(outcome, Broken)
    assert (outcome.failure.kind, outcome.failure.reason) == kind
    text = f"fetching its inputs failed (exit code {code}): It said so."
    assert outcome.failure.message == text


@pytest.mark.parametrize(
    ("reason", "kind"),
    {"IdentityRefused": FailureClass.IDENTITY, "IdentityExpired": FailureClass.STORAGE}.items(),
)
def test_a_new_attempt_helps_an_identity_that_has_ended_and_no_other(reason, kind):
    pod = make_pod(phase="Failed", fetch=ended(77))
    outcome = judge(pod, UploadResult(error="No.", reason=reason))
    assert isinstance(outcome, Broken)
    assert (outcome.failure.kind, outcome.failure.reason) == (kind, reason)


def test_only_the_users_exit_code_is_reported_as_such():
    assert judge(failed_pod(code=3), None).failure.exit_code == 3
    assert judge(make_pod(phase="Failed", fetch=ended(66)), None).failure.exit_code is None


def test_an_action_says_itself_why_it_failed_and_a_server_out_of_reach_is_not_its_fault():
    said = UploadResult(error="There is no branch 'x'.", reason="GitRefNotFound")
    for code, kind in ((1, FailureClass.USER), (75, FailureClass.STORAGE)):
        pod = failed_pod(code=code, has_action=True)
        failure = judge(pod, said).failure
        assert (failure.kind, failure.reason, failure.exit_code) == (kind, "GitRefNotFound", code)
        assert failure.message == "There is no branch 'x'."
    assert judge(failed_pod(code=75), said).failure.reason == "ExitCode"
    assert judge(failed_pod(code=137, has_action=True), None).failure.reason == "ExitCode"
