"""Runs helpers as the kubelet does: processes with an environment, signals and exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "gradient_operator.helpers.main"]
LONGEST = 120


@dataclass
class Pod:
    """Folders and variables that the helpers of one Pod share."""

    root: Path
    location: dict[str, object]
    keys: Path | None = None
    uid: str = "pod-1"
    grace: float = 60
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"

    @property
    def message(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "message").read_text())
        return found

    def environment(self, **variables: object) -> dict[str, str]:
        texts = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in variables.items()
        }
        return (
            {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
            | {
                "GRADIENT_CREDENTIALS": str(self.keys or self.root / "no-keys"),
                "GRADIENT_GRACE_SECONDS": str(self.grace),
                "GRADIENT_READY_FILE": str(self.root / "ready"),
                "GRADIENT_STORAGE": json.dumps(self.location),
                "GRADIENT_TERMINATION_LOG": str(self.root / "message"),
                "POD_UID": self.uid,
            }
            | self.variables
            | texts
        )

    def start_upload(self, *directories: str, strings: tuple[str, ...] = (), **more: object):
        """Start the uploader without waiting for it."""
        task = {
            "directories": [
                {"name": name, "path": str(self.outputs / name)} | more for name in directories
            ],
            "strings": [{"name": name, "path": str(self.outputs / name)} for name in strings],
        }
        return subprocess.Popen(
            [*COMMAND, "upload"],
            env=self.environment(GRADIENT_UPLOAD=task),
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_ready(self) -> int:
        return subprocess.run(
            [*COMMAND, "wait-ready"], env=self.environment(), check=False, timeout=LONGEST
        ).returncode

    def fetch(self, *items: dict[str, object]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "fetch"],
            env=self.environment(GRADIENT_FETCH=list(items)),
            check=False,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )


def finish(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, Any]]]:
    """Send SIGTERM and return exit code and log lines."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=LONGEST)
    return process.returncode, [json.loads(line) for line in output.splitlines()]


def wait_until(condition: object, what: str) -> None:
    """Wait for a condition, and fail with its name."""
    end = time.monotonic() + LONGEST
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.01)
