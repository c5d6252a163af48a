"""How commands end: the exit codes, and a sentence with a remedy for all that can go wrong.

The other rooms' errors are translated here and nowhere else. Their modules are imported only when
there is an error to translate.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command ends with; scripts branch on it."""

    SUCCEEDED = 0
    FAILED = 1
    """The run that was started or followed has failed."""
    REFUSED = 2
    """The command was used wrongly, or could not do what it was asked for."""
    CANCELLED = 3
    """The run that was followed was cancelled."""
    INTERRUPTED = 130
    """Ctrl-C, as shells have it."""


class CommandError(Exception):
    """A command cannot go on; the message is a sentence that names the remedy."""


def sentence(error: Exception) -> str | None:
    """What to tell a person about an error; None when it is a fault of this program."""
    if isinstance(error, CommandError):
        return str(error)
    return _of_file(error) or _of_cluster(error) or _of_data(error) or _of_system(error)


def _of_file(error: Exception) -> str | None:
    from gradient_operator.workflow.model import Refused
    from gradient_operator.workflow.yaml_errors import FileProblem

    if isinstance(error, FileProblem):
        return f"{error.source}:{error.line}:{error.column}: {error.message}"
    if isinstance(error, Refused):
        return "\n".join(str(problem) for problem in error.problems)
    return None


def _of_cluster(error: Exception) -> str | None:
    from gradient_operator.kube import credentials, errors

    if isinstance(error, credentials.CredentialsError):
        return (
            f"No cluster to speak with: {str(error).rstrip('.')}. "
            "--kubeconfig names another file; 'make cluster' makes a local cluster."
        )
    if not isinstance(error, errors.KubeError):
        return None
    if isinstance(error, errors.Unreachable):
        return (
            f"The cluster does not answer: {error.message}. Check it with 'kubectl cluster-info', "
            "or choose another with --context or --kubeconfig."
        )
    if isinstance(error, errors.NotFound) and "could not find the requested" in error.message:
        return (
            "This cluster does not know the kinds of gradient.run: install the operator first "
            "('make install' in its repository), or choose another cluster with --context."
        )
    if isinstance(error, errors.Forbidden):
        return (
            f"The cluster does not allow it: {error.message}. "
            "Ask its administrator for the rights, or choose another context with --context."
        )
    if error.retryable:
        return f"The cluster could not do it: {error.message}. Try again."
    return f"The cluster refused it: {error.message}"


def _of_data(error: Exception) -> str | None:
    from gradient_operator.datasets.errors import DatasetError

    return str(error) if isinstance(error, DatasetError) else None


def _of_system(error: Exception) -> str | None:
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}. Check the path and its permissions."
    return None
