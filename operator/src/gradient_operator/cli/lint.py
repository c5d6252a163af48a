"""`gradient lint`: what is wrong with workflow files, before anything runs."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from gradient_operator.cli.errors import CommandError, ExitCode

_STANDARD_INPUT: Final = "-"
_FOLDER: Final = Path(".gradient", "workflows")
_SUFFIXES: Final = frozenset({".yaml", ".yml"})


@click.command(
    name="lint",
    epilog="Example: gradient lint .  Exit codes: 0 valid (warnings allowed), 1 not valid, "
    "2 a file cannot be read.",
)
@click.argument("files", metavar="FILE…", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    help="text, json, sarif (for code review tools) or github (annotations in a workflow).",
)
def command(*, files: Sequence[str], output: str) -> int:
    """Check workflow files without running them.

    FILE is a Gradient file, a manifest with GradientWorkflows, or a folder: of it those in
    .gradient/workflows are checked, or else the YAML files in the folder itself; '-' reads
    standard input. Each rule has a page in docs/rules.
    """
    from gradient_operator.cli.output import findings
    from gradient_operator.workflow.lint import Report, lint

    unread: list[str] = []
    reports: list[Report] = []
    for path in _expand(files, unread):
        try:
            raw = _read(path)
        except OSError as error:
            unread.append(f"{path} cannot be read: {error.strerror}. Check the path.")
            continue
        source = "<stdin>" if path == _STANDARD_INPUT else path
        reports.append(lint(raw, source=source))
    text = findings.render(output, reports)
    if text:
        click.echo(text)
    for sentence in unread:
        click.echo(f"Error: {sentence}", err=True)
    click.echo(findings.summary(reports), err=True)
    if unread:
        return ExitCode.REFUSED
    return ExitCode.SUCCEEDED if all(report.valid for report in reports) else ExitCode.FAILED


def _expand(files: Iterable[str], unread: list[str]) -> Iterator[str]:
    """The files that are meant, folders replaced by what is in them."""
    for name in files:
        if name == _STANDARD_INPUT or not Path(name).is_dir():
            yield name
            continue
        try:
            yield from _inside(Path(name))
        except CommandError as error:
            unread.append(str(error))


def _inside(folder: Path) -> list[str]:
    for place in (folder / _FOLDER, folder):
        if place.is_dir():
            found = sorted(
                str(path) for path in place.iterdir() if path.suffix in _SUFFIXES and path.is_file()
            )
            if found:
                return found
    raise CommandError(f"{folder} holds no workflow: there is no .yaml or .yml in {_FOLDER} or it.")


def _read(path: str) -> bytes:
    from gradient_operator.workflow.loader import MAX_BYTES

    # One byte more than is allowed shows that there are more.
    if path == _STANDARD_INPUT:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with Path(path).open("rb") as file:
        return file.read(MAX_BYTES + 1)
