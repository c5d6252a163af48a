"""One line per step, with its duration, so that a person sees what is done and what takes long."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STILL_WORKING_SECONDS = 15.0


def say(text: str) -> None:
    """Print one line at once, even into a pipe."""
    print(text, flush=True)


def complain(text: str) -> None:
    """Print one line where errors belong."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say `text` with its duration when it is done, and now and then that it goes on."""
    started = time.monotonic()
    finished = threading.Event()

    def remind() -> None:
        while not finished.wait(STILL_WORKING_SECONDS):
            say(f"   ...   {text}: {time.monotonic() - started:.0f} s so far")

    reminder = threading.Thread(target=remind, daemon=True)
    reminder.start()
    try:
        yield
    finally:
        finished.set()
        reminder.join()
    say(f"{time.monotonic() - started:6.1f} s  {text}")
