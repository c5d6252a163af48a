"""What the end of the user's container means, and which exit codes may be tried again."""

import pytest

from gradient_operator.api.policy import RetryPolicy
from gradient_operator.engine.exit_code import failure, may_retry
from gradient_operator.engine.model import Failure, FailureClass
from tests.builders import ended

ENDS = {
    "an exit code": (ended(3, message="boom\n"), "user", "ExitCode", "exit code 3: boom"),
    "a signal": (ended(139), "user", "ExitCode", "exit code 139 (SIGSEGV)"),
    "killed": (ended(137), "user", "ExitCode", "exit code 137 (SIGKILL)"),
    "no signal has this number": (ended(255), "user", "ExitCode", "exit code 255"),
    "no such command": (
        ended(128, reason="StartError", message='exec: "x": executable file not found in $PATH'),
        "user",
        "CommandNotRunnable",
        'its command cannot be run (exit code 128): exec: "x": executable file not found in $PATH',
    ),
    "a file that is no program": (
        ended(127, reason="ContainerCannotRun", message="exec /x: exec format error"),
        "user",
        "CommandNotRunnable",
        "its command cannot be run (exit code 127): exec /x: exec format error",
    ),
    "the runtime is in trouble": (
        ended(128, reason="StartError", message="failed to create shim task: ttrpc: closed"),
        "not-started",
        "StartError",
        "its container could not be started: failed to create shim task: ttrpc: closed",
    ),
}


@pytest.mark.parametrize(("main", "kind", "reason", "text"), ENDS.values(), ids=ENDS)
def test_an_end(main, kind, reason, text):
    found = failure(main)
    assert (found.kind, found.reason, found.message) == (kind, reason, text)


def test_out_of_memory_is_a_class_of_its_own():
    found = failure(ended(137, reason="OOMKilled"))
    assert (found.kind, found.exit_code) == (FailureClass.OUT_OF_MEMORY, 137)


@pytest.mark.parametrize(
    ("rules", "code", "retried"),
    [
        ({}, 1, True),
        ({"on_exit_codes": [75, 137]}, 75, True),
        ({"on_exit_codes": [75, 137]}, 1, False),
        ({"on_exit_codes": []}, 1, False),
        ({"not_on_exit_codes": [2]}, 1, True),
        ({"not_on_exit_codes": [2]}, 2, False),
        ({"on_exit_codes": [2], "not_on_exit_codes": [2]}, 2, False),
    ],
)
def test_exit_codes_are_chosen(rules, code, retried):
    found = Failure(FailureClass.USER, "ExitCode", "a sentence", code)
    assert may_retry(RetryPolicy(**rules), found) is retried


def test_a_failure_without_an_exit_code_is_not_asked_for_one():
    rules = RetryPolicy(on_exit_codes=[1])
    assert may_retry(rules, Failure(FailureClass.TIMEOUT, "TimedOut", "a sentence"))
    assert may_retry(rules, Failure(FailureClass.OUT_OF_MEMORY, "OutOfMemory", "a sentence", 137))
