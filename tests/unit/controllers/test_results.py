"""What helpers say, read as hostile input."""

import pytest

from gradient_operator.controllers.results import decode_pod, of_full
from gradient_operator.datasets import result as wire
from gradient_operator.datasets.manifest import Version
from gradient_operator.engine.model import OutputRecord, UploadResult
from tests.builders import DIGEST, ended, make_pod, running

RESULT = wire.UploadResult(
    outputs={"model": Version(digest=DIGEST, bytes=7, files=2)},
    strings={"acc": "0.9", "long": "x" * 300},
)


def said(message, code=0, **changes):
    message = message.decode() if isinstance(message, bytes) else message
    uploader = ended(code, message=message)
    return decode_pod(make_pod(uploader=uploader, has_uploader=True, **changes))


@pytest.mark.parametrize("pod", [make_pod(), make_pod(uploader=running())])
def test_nothing_was_said_yet(pod):
    assert decode_pod(pod) is None


def test_inputs_that_were_fetched_well_say_nothing():
    assert decode_pod(make_pod(fetch=ended(0, message="whatever"))) is None


def test_an_upload_names_versions_and_strings():
    found = said(wire.encode_message(RESULT, "pod-uid"))
    assert found == UploadResult(
        outputs={
            "model": OutputRecord(digest=DIGEST, bytes=7, files=2),
            "acc": OutputRecord(value="0.9"),
            "long": OutputRecord(ref="runs/pod-uid/result.json"),
        },
        ref="runs/pod-uid/result.json",
    )


def test_an_upload_that_said_too_little_is_to_be_read():
    many = {f"{number:03}" * 5: Version(digest=DIGEST, bytes=1, files=1) for number in range(40)}
    message = wire.encode_message(wire.UploadResult(outputs=many, strings={}), "pod-uid")
    assert said(message).truncated


def test_a_failure_has_its_sentence_and_reason():
    found = said(wire.encode_failure("It is full.", "StorageFull"), code=75)
    assert (found.error, found.reason) == ("It is full.", "StorageFull")


def test_a_failed_fetch_says_it_too():
    message = wire.encode_failure("No such version.", "InputMissing").decode()
    found = decode_pod(make_pod(fetch=ended(66, message=message)))
    assert (found.error, found.reason) == ("No such version.", "InputMissing")


@pytest.mark.parametrize(
    "message",
    ["", "{", "[]", "null", '{"v":2}', '{"v":1}', '{"v":1,"ref":"../../x"}', "x" * 5_000],
    ids=["empty", "cut", "list", "null", "other version", "no reference", "path", "large"],
)  # fmt: skip
def test_a_message_that_is_none_cannot_be_read(message):
    found = said(message)
    assert found.unreadable
    assert found.error


def test_the_log_of_a_helper_that_crashed_is_no_message():
    found = said("Traceback (most recent call last)", code=1)
    assert (found.unreadable, found.error) == (True, "")


def test_of_a_full_result_long_strings_stay_where_they_are():
    found = of_full(RESULT, "runs/pod-uid/result.json")
    assert found.outputs["acc"] == OutputRecord(value="0.9")
    assert found.outputs["long"] == OutputRecord(ref="runs/pod-uid/result.json")
    assert found.outputs["model"].digest == DIGEST


def test_what_an_action_says_of_its_failure_counts_before_the_uploader():
    message = wire.encode_failure("There is no branch.", "GitRefNotFound").decode()
    pod = make_pod(
        has_action=True,
        has_uploader=True,
        main=ended(1, message=message),
        uploader=ended(0, message=wire.encode_message(RESULT, "pod-uid").decode()),
    )
    assert decode_pod(pod) == UploadResult(error="There is no branch.", reason="GitRefNotFound")


def test_what_a_users_program_says_is_no_result():
    message = wire.encode_failure("Believe me.", "StorageUnavailable").decode()
    assert decode_pod(make_pod(main=ended(75, message=message))) is None
