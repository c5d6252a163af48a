"""What the end of the user's container means, and whether its exit code may be tried again.

Exit codes above 128 are those of a shell whose program was ended by a signal, and of a container
that was; the kubelet's reasons `StartError` and `ContainerCannotRun` mean that it never ran.
"""

import signal
from typing import Final

from gradient_operator.api.policy import RetryPolicy
from gradient_operator.engine.model import ContainerRecord, Failure, FailureClass

_NEVER_RAN: Final = frozenset({"StartError", "ContainerCannotRun"})
_COMMAND: Final = (
    "executable file not found",
    "no such file or directory",
    "permission denied",
    "exec format error",
    "is a directory",
    "not found",
)
"""Why a runtime cannot run a command, where it is the command's fault and not the node's."""
_SIGNALLED: Final = 128


def failure(main: ContainerRecord) -> Failure:
    """The failure of a main that ended with a code other than 0, by itself."""
    code = main.exit_code or 0
    said = main.message.strip()
    log = f": {said}" if said else ""
    if main.reason == "OOMKilled":
        text = f"it ran out of memory (exit code {code}): choose a machine type with more memory"
        return Failure(FailureClass.OUT_OF_MEMORY, "OutOfMemory", text + log, code)
    if main.reason in _NEVER_RAN:
        if any(text in said for text in _COMMAND):
            text = f"its command cannot be run (exit code {code}){log}"
            return Failure(FailureClass.USER, "CommandNotRunnable", text, code)
        text = f"its container could not be started{log}"
        return Failure(FailureClass.NOT_STARTED, main.reason, text)
    return Failure(FailureClass.USER, "ExitCode", f"exit code {code}{_signal(code)}{log}", code)


def _signal(code: int) -> str:
    try:
        return f" ({signal.Signals(code - _SIGNALLED).name})" if code > _SIGNALLED else ""
    except ValueError:
        return ""


def may_retry(rules: RetryPolicy, found: Failure) -> bool:
    """Whether the policy lets this failure of the job itself be tried again.

    Failures without an exit code, as a time limit, are none of this policy's business.
    """
    code = found.exit_code
    if found.kind is not FailureClass.USER or code is None:
        return True
    if rules.on_exit_codes is not None and code not in rules.on_exit_codes:
        return False
    return code not in rules.not_on_exit_codes
