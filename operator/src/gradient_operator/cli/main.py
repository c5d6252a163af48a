"""Entry point of `gradient` and `kubectl-gradient`: finds the command, and puts errors into words.

Commands are imported by name when they are needed; nothing here imports more than click.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

import click

from gradient_operator.cli.errors import ExitCode, sentence
from gradient_operator.cli.lazy_group import LazyGroup, OutputClosed

COMMANDS: Final = {
    "lint": "gradient_operator.cli.lint",
    "manifest": "gradient_operator.cli.manifest",
    "schema": "gradient_operator.cli.schema",
    "run": "gradient_operator.cli.run",
    "rerun": "gradient_operator.cli.rerun",
    "runs": "gradient_operator.cli.runs",
    "show": "gradient_operator.cli.show",
    "why": "gradient_operator.cli.why",
    "logs": "gradient_operator.cli.logs",
    "cancel": "gradient_operator.cli.cancel",
    "suspend": "gradient_operator.cli.suspend",
    "resume": "gradient_operator.cli.resume",
    "dataset": "gradient_operator.cli.dataset",
    "model": "gradient_operator.cli.model",
}
"""Command to module; the module has it as `command`."""


@click.group(
    cls=LazyGroup,
    modules=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="gradient-operator", message="%(version)s")
def cli() -> None:
    """Run Gradient workflow files on a Kubernetes cluster, and look after their data.

    The cluster and the namespace are those of your kubeconfig, as for kubectl. Exit codes: 0 done,
    1 the run failed, or a file is not valid, 2 refused, 3 the run was cancelled. GRADIENT_DEBUG=1
    shows tracebacks.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a mark that the terminal lacks is no failure
    sys.exit(invoke(sys.argv[1:] if arguments is None else arguments))


def invoke(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; errors become sentences on standard error."""
    try:
        result = cli.main(list(arguments), prog_name=_program(), standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return ExitCode.REFUSED
    except (KeyboardInterrupt, click.Abort):
        return ExitCode.INTERRUPTED
    except (OutputClosed, BrokenPipeError):
        # Whoever read our output has left: nothing is wrong, and nothing more may be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.SUCCEEDED
    except Exception as error:  # noqa: BLE001 - every error becomes a sentence
        return _explain(error)
    return result if isinstance(result, int) else ExitCode.SUCCEEDED


def _explain(error: Exception) -> int:
    if os.environ.get("GRADIENT_DEBUG") == "1":
        raise error
    said = sentence(error)
    if said is None:
        said = (
            f"This is a fault of the program: {type(error).__name__}: {error}. "
            "GRADIENT_DEBUG=1 shows where; please report it."
        )
    click.echo(f"Error: {said}", err=True)
    return ExitCode.REFUSED


def _program() -> str:
    """As a plugin of kubectl the program is called `kubectl-gradient`."""
    called = PurePath(sys.argv[0]).name
    return "kubectl gradient" if called.startswith("kubectl") else "gradient"
