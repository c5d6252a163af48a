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


def test_a_deleted_pod_on_a_silent_node_is_given_up():
    limit = limit_of(make_pod(main=running(), deletion_at=130.0))
    assert limit.at == 130 + 120
    assert limit.failure.kind is FailureClass.NODE_LOST
    assert limit.failure.message.endswith("Look at the node: kubectl describe node cpu-1")
