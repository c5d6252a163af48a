"""The command line of the data bench."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench import machine, page
from tests.bench.data import report
from tests.bench.data.clients import install
from tests.bench.data.contest import OURS, Found, play
from tests.bench.data.trees import FULL, MILLION, QUICK
from tests.integration.seaweedfs import running

if TYPE_CHECKING:
    from collections.abc import Sequence

CLIENTS: Final = (OURS, "rclone", "s5cmd", "boto3")
ROUNDS: Final = 2


def main() -> int:
    """Run the bench; exit code 1 when a client failed, 2 for a wrong option."""
    options = _options()
    if not options.quick:
        machine.wait_until_quiet()
    about = machine.describe()
    if about.busy:
        print("bench: other programs keep this machine busy: the figures mean little")
    clients = options.clients
    if clients != [OURS] and not install():
        clients = [OURS]
    started = time.monotonic()
    found = [Found(load) for load in options.only]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        for number in range(options.rounds):
            folder = Path(name) / str(number)
            folder.mkdir()
            with running() as server:
                for item in found:
                    wanted = [OURS] if item.load.ours_only else clients
                    play(item, server, folder=folder, clients=wanted, say=_say)
    about_bench = report.About(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=_command(sys.argv[1:]),
        machine=about,
        minutes=(time.monotonic() - started) / 60,
        rounds=options.rounds,
    )
    print(f"\n{report.text(about_bench, found)}")
    if options.json is not None:
        body = report.dump(about_bench, found)
        options.json.write_text(json.dumps(body, indent=2) + "\n")
    if options.write:
        page.write_part(
            page.DATA,
            report.introduction(),
            report.sections(about_bench, found),
            order=[load.key for load in FULL],
        )
        print(f"\nwritten: {page.PAGE.name}")
    return int(any(item.problems for item in found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.data",
        description="Datasets next to other programs that copy, on one real S3 server.",
    )
    parser.add_argument("--quick", action="store_true", help="small trees: does it work at all?")
    parser.add_argument(
        "--only", metavar="LOAD,…", help=f"some of {', '.join(load.key for load in FULL)}"
    )
    parser.add_argument("--clients", metavar="NAME,…", help=f"some of {', '.join(CLIENTS)}")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"rounds of every load ({ROUNDS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there")
    parser.add_argument(
        "--write", action="store_true", help="write what was measured into docs/benchmarks.md"
    )
    options = parser.parse_args()
    loads = {load.key: load for load in (QUICK if options.quick else FULL)}
    usual = [key for key in loads if key != MILLION]
    names = _chosen(parser, options.only, list(loads), usual)
    options.only = [loads[name] for name in names]
    options.clients = _chosen(parser, options.clients, list(CLIENTS), list(CLIENTS))
    options.rounds = max(1, options.rounds or (1 if options.quick else ROUNDS))
    return options


def _chosen(
    parser: argparse.ArgumentParser, text: str | None, known: list[str], usual: list[str]
) -> list[str]:
    if text is None:
        return usual
    unknown = [name for name in text.split(",") if name not in known]
    if unknown:
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(known)}")
    return text.split(",")


def _say(text: str) -> None:
    print(text, flush=True)


def _command(words: Sequence[str]) -> str:
    kept = [word for word in words if word in {"--quick", "--write"}]
    for name in ("--only", "--clients", "--rounds"):
        if name in words:
            kept += [name, words[words.index(name) + 1]]
    return " ".join([".venv/bin/python -m tests.bench.data", *kept])


if __name__ == "__main__":
    sys.exit(main())
