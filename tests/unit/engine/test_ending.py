"""How long a Pod may take to end before its attempt is given up."""

from gradient_operator.engine import ending
from gradient_operator.engine.model import FailureClass
from tests.builders import ended, make_pod, running


def limit_of(pod):
    return ending.limit(pod, upload_seconds=600)


def test_a_pod_that_runs_has_no_limit():
    assert limit_of(make_pod(main=running())) is None


def test_an_upload_has_its_time_and_a_margin():
    limit = limit_of(make_pod(main=ended(0, at=100), uploader=running()))
    assert limit.at == 100 + 600 + 120
    assert (limit.failure.kind, limit.failure.reason) == (FailureClass.UPLOAD, "UploadTimeout")
    assert limit.failure.message == "the upload has not ended 600 s after the job did"


def test_a_deletion_does_not_shorten_an_upload():
    pod = make_pod(main=ended(0, at=100), uploader=running(), deletion_at=130.0)
    assert limit_of(pod).at == 100 + 600 + 120


def test_an_upload_on_a_lost_node_is_given_up_once_its_pod_is_to_go():
    pod = make_pod(
        main=ended(0, at=100), uploader=running(), deletion_at=3_800.0, deletion_grace=3_600
    )
    limit = ending.limit(pod, upload_seconds=600, silent=True)
    assert limit.at == 200
    assert (limit.failure.kind, limit.failure.reason) == (FailureClass.NODE_LOST, "NodeLost")
    assert "node cpu-1 was lost" in limit.failure.message


def test_a_job_on_a_lost_node_is_given_up_with_its_pod_and_not_before():
    pod = make_pod(main=running(), unheard=True)
    assert limit_of(pod) is None
    given_up = make_pod(main=running(), unheard=True, deletion_at=3_800.0, deletion_grace=3_600)
    assert limit_of(given_up).at == 200


def test_a_pod_that_is_deleted_and_not_heard_of_is_given_up():
    limit = limit_of(make_pod(main=running(), deletion_at=130.0))
    assert limit.at == 130 + 120
    assert limit.failure.kind is FailureClass.NODE_LOST
    assert limit.failure.message.endswith("Look at the node: kubectl describe node cpu-1")
