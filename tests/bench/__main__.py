"""The command line of the bench."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.credentials import CredentialsError
from gradient_operator.kube.errors import KubeError
from tests.bench import burst, chain, fan_out, history, machine, page, steady
from tests.bench.arena import arena
from tests.bench.engines import find_engine
from tests.bench.machine import ROOT
from tests.bench.model import FULL, QUICK, BenchError, Load
from tests.bench.report import Report
from tests.bench.rounds import run_load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LOADS: Final = {
    load.key: load
    for load in (*chain.LOADS, *fan_out.LOADS, *burst.LOADS, *steady.LOADS, *history.LOADS)
}
KUBECONFIG: Final = ROOT / ".local" / "simulated.kubeconfig"


def main() -> int:
    """Run the bench; exit code 1 when it could not be completed, 130 when it was interrupted."""
    options = _options()
    try:
        with _cluster(options.kubeconfig) as kubeconfig:
            report = asyncio.run(_bench(options, kubeconfig))
    except (BenchError, KubeError, CredentialsError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("bench: interrupted", file=sys.stderr)
        return 130
    print(f"\n{report.text()}")
    if options.json is not None:
        options.json.write_text(json.dumps(report.dump(), indent=2) + "\n")
    if options.write:
        page.write_part(page.OPERATOR, report.introduction(), report.sections(), order=list(LOADS))
        print(f"\nwritten: {page.PAGE.relative_to(ROOT)}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="The operator next to a bare client; real API server, simulated nodes.",
    )
    parser.add_argument(
        "--only",
        type=_loads,
        metavar="LOAD,…",
        help=f"some of {', '.join(LOADS)}",
    )
    parser.add_argument(
        "--long", action="store_true", help="also the loads that take many minutes each"
    )
    parser.add_argument(
        "--engine",
        default="tests.bench.engines:GRADIENT",
        metavar="MODULE:NAME",
        help="another engine, which works on the cluster already (see tests/bench/engines.py)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="small loads, one round: shows that it works"
    )
    parser.add_argument("--runs", type=_positive, metavar="N", help="rounds of every load")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there")
    parser.add_argument(
        "--write", action="store_true", help="write what was measured into docs/benchmarks.md"
    )
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        help="another cluster of simulated nodes than the one of this checkout",
    )
    return parser.parse_args()


def _loads(text: str) -> list[Load]:
    unknown = set(text.split(",")) - LOADS.keys()
    if unknown:
        raise argparse.ArgumentTypeError(f"choose from {', '.join(LOADS)}")
    return [LOADS[key] for key in LOADS if key in text.split(",")]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a number from 1 on")
    return int(text)


@contextmanager
def _cluster(given: Path | None) -> Iterator[Path]:
    """The cluster to bench on; one that was not up before is stopped again."""
    if given is not None:
        yield given
        return
    was_up = _tool("status", quiet=True) == 0
    if _tool("up") != 0:
        raise BenchError("the cluster with simulated nodes does not start: see above")
    try:
        yield KUBECONFIG
    finally:
        if not was_up:
            _tool("down")


def _tool(command: str, *, quiet: bool = False) -> int:
    words = [sys.executable, "-m", "hack.cluster", command, "--name", "simulated"]
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run(words, cwd=ROOT, stdout=output, stderr=output, check=False).returncode


async def _bench(options: argparse.Namespace, kubeconfig: Path) -> Report:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    if not options.quick:
        await asyncio.to_thread(machine.wait_until_quiet)
    found = machine.describe()
    if found.busy:
        print(
            f"bench: the load average is {found.load_average:.2f} on {found.cores} cores: other "
            "work keeps the machine busy, and the figures will mean little",
            file=sys.stderr,
        )
    sizes = QUICK if options.quick else FULL
    engine = find_engine(options.engine)
    loads = options.only or [load for load in LOADS.values() if options.long or not load.long]
    folder = Path(tempfile.mkdtemp(prefix="gradient-bench-"))
    results = []
    client = await KubeClient.connect(kubeconfig, user_agent="gradient-bench")
    async with client:
        version = json.loads(await client.raw_get("/version"))["gitVersion"]
        async with arena(
            client, kubeconfig=kubeconfig, sizes=sizes, folder=folder, engine=engine
        ) as scene:
            for load in [load for load in loads if engine.ours or not load.ours]:
                rounds = options.runs or (1 if options.quick else load.rounds)
                results.append(await run_load(load, scene, rounds=rounds, say=_say))
    shutil.rmtree(folder)  # after a failure the operators' logs stay
    return Report(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=_command(sys.argv[1:]),
        machine=found,
        kubernetes=version,
        sizes=sizes,
        results=results,
        engine=engine.name,
    )


def _say(text: str) -> None:
    print(text, flush=True)


def _command(words: Sequence[str]) -> str:
    """The command line as anybody may repeat it, without where this machine keeps its files."""
    shown = [
        word
        for word, before in zip(words, ["", *words], strict=False)
        if word not in {"--json", "--kubeconfig"} and before not in {"--json", "--kubeconfig"}
    ]
    return shlex.join([".venv/bin/python", "-m", "tests.bench", *shown])


if __name__ == "__main__":
    sys.exit(main())
