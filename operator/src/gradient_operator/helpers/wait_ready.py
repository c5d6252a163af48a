"""Waits until the uploader listens for SIGTERM: the gate that the job's container waits behind.

Without it a job that ends at once would send the signal before anybody hears it.
"""

from __future__ import annotations

import sys
import time
from typing import Final

from gradient_operator.exits import ExitCode
from gradient_operator.helpers import environment

POLL_SECONDS: Final = 0.02
LONGEST_WAIT_SECONDS: Final = 60.0


def main() -> ExitCode:
    """Return as soon as the uploader's marker exists; the uploader itself reports its failures."""
    marker = environment.ready_file()
    longest = environment.number("GRADIENT_READY_SECONDS", LONGEST_WAIT_SECONDS)
    end = time.monotonic() + longest
    while not marker.exists():
        if time.monotonic() > end:
            sys.stderr.write(f"The uploader was not ready after {longest:g} s: its log says why.\n")
            return ExitCode.FAILED
        time.sleep(POLL_SECONDS)
    return ExitCode.OK
