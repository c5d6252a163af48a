"""Moves data while somebody watches: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from gradient_operator.cli.output.text import files, size
from gradient_operator.datasets.progress import Progress as Done
from gradient_operator.datasets.progress import ProgressMeter

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

T = TypeVar("T")

_SECONDS_PER_FRAME: Final = 0.2
_SECONDS_PER_LINE: Final = 5.0


def transfer(
    work: Callable[[ProgressMeter], T], *, title: str, total: int | None, console: Console
) -> T:
    """Run `work` with a meter whose counts are shown on the console.

    Args:
        work: moves the data and counts it.
        title: what is being done, as `Downloading digits:k5tq3nfdxw2a`.
        total: bytes to be moved; None if nobody knows.
        console: where to show it, usually standard error.
    """
    if not console.is_terminal:

        def line(done: Done) -> None:
            of_all = f" of {size(total)}" if total is not None else ""
            console.print(f"{title}: {files(done.files)}, {size(done.bytes)}{of_all}")

        return work(ProgressMeter(line, total=total, interval=_SECONDS_PER_LINE))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total)
        meter = ProgressMeter(
            lambda done: bar.update(task, completed=done.bytes),
            total=total,
            interval=_SECONDS_PER_FRAME,
        )
        return work(meter)
