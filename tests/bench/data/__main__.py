"""The command line of the data bench."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import machine
from tests.bench.data.clients import ClientFailed, Measured, Ours, install, others
from tests.bench.data.limits import hash_seconds, raw_seconds
from tests.bench.data.trees import FULL, MIB, QUICK, Load
from tests.integration.seaweedfs import running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.data.clients import Other
    from tests.integration.seaweedfs import S3Server


@dataclass(frozen=True, slots=True)
class Row:
    """One client with one tree; None where it was not measured."""

    load: str
    client: str
    up: Measured | None
    down: Measured | None
    again: Measured | None = None
    problem: str = ""


def main() -> int:
    """Run the bench; exit code 1 when a client of ours failed, 2 for a wrong option."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.data", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small trees: does it work at all?")
    parser.add_argument("--only", default="", help="loads, as large,small,mixed,million")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    loads = {load.key: load for load in (QUICK if options.quick else FULL)}
    wanted = [key for key in options.only.split(",") if key] or list(loads)
    unknown = [key for key in wanted if key not in loads]
    if unknown:
        parser.error(f"no such load: {', '.join(unknown)}; there are {', '.join(loads)}")
    about = machine.describe()
    print(f"{about.cores} cores, {about.processor}, commit {about.commit}")
    if about.busy:
        print("bench: other programs keep this machine busy: the figures mean little")
    rows: list[Row] = []
    limits: dict[str, dict[str, float]] = {}
    with running() as server, tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        keys = server.write_credentials(Path(name) / "keys")
        for key in wanted:
            limits[key] = _limits(loads[key], server, keys, Path(name))
            found = list(_measure(loads[key], server, keys, Path(name)))
            rows += found
            print("\n".join(_table(loads[key], found, limits[key])), flush=True)
    if options.json is not None:
        body = {
            "machine": about.dump(),
            "limits": limits,
            "rows": [asdict(row) for row in rows],
        }
        options.json.write_text(json.dumps(body, indent=2) + "\n")
    return int(any(row.problem and row.client == "ours" for row in rows))


def _limits(load: Load, server: S3Server, keys: Path, folder: Path) -> dict[str, float]:
    """Seconds for the same bytes; the tree is made on the way."""
    source = folder / load.key
    load.make(source)
    put, get = raw_seconds(server, keys, load.bytes)
    return {"hash": hash_seconds(source), "put": put, "get": get}


def _measure(load: Load, server: S3Server, keys: Path, folder: Path) -> Iterator[Row]:
    source = folder / load.key
    clients: Sequence[Ours | Other] = [Ours(server, keys)]
    if not load.ours_only and install():
        clients = [*clients, *others(server)]
    for client in clients:
        target = folder / f"{load.key}-back"
        prefix = f"{load.key}-{client.name}"
        try:
            up = client.up(source, prefix)
            again = client.up(source, prefix) if client.name == "ours" else None
            down = client.down(up.said, target, prefix)
            _compare(load, target)
        except ClientFailed as error:
            yield Row(load.key, client.name, None, None, problem=str(error))
        else:
            yield Row(load.key, client.name, up, down, again)
        finally:
            shutil.rmtree(target, ignore_errors=True)
    shutil.rmtree(source)


def _compare(load: Load, target: Path) -> None:
    """Everything came back: the number of files and their bytes (ours has checked the digests)."""
    sizes = [path.stat().st_size for path in target.rglob("*") if path.is_file()]
    if (len(sizes), sum(sizes)) != (load.count, load.bytes):
        raise ClientFailed(f"{len(sizes)} files with {sum(sizes)} bytes came back")


def _table(load: Load, rows: Sequence[Row], limits: dict[str, float]) -> Iterator[str]:
    yield f"\n## {load.key}: {load.title}\n"
    columns = "MiB/s | files/s | CPU s | RSS MiB"
    yield f"| client | up {columns} | down {columns} |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in rows:
        if row.up is None or row.down is None:
            yield f"| {row.client} | failed: {row.problem.splitlines()[0][:120]} |"
        else:
            cells = [*_cells(load, row.up), *_cells(load, row.down)]
            yield f"| {row.client} | {' | '.join(cells)} |"
    ours = next((row for row in rows if row.client == "ours"), None)
    if ours is None or ours.up is None or ours.down is None:
        return
    best = [row for row in rows if row.client != "ours" and row.up and row.down]
    for word, key, raw in (("up", "up", limits["put"]), ("down", "down", limits["get"])):
        mine = getattr(ours, key).seconds
        floor = max(limits["hash"], raw)
        text = f"- {word}: {floor / mine:.2f} of the limit"
        if best:
            rival = min(best, key=lambda row, key=key: getattr(row, key).seconds)  # type: ignore[misc]
            text += f", {getattr(rival, key).seconds / mine:.2f} x {rival.client}, the best other"
        yield text
    if ours.again is not None:
        share = ours.again.seconds / ours.up.seconds
        yield f"- uploaded again, unchanged: {share:.0%} of the first"
    yield (
        f"- limits for {load.bytes / MIB:,.0f} MiB: SHA-256 {limits['hash']:.2f} s, bare PUT "
        f"{limits['put']:.2f} s, bare GET {limits['get']:.2f} s"
    )


def _cells(load: Load, measured: Measured) -> list[str]:
    return [
        f"{load.bytes / MIB / measured.seconds:,.0f}",
        f"{load.count / measured.seconds:,.0f}",
        f"{measured.cpu:.1f}",
        f"{measured.peak / MIB:,.0f}",
    ]


if __name__ == "__main__":
    sys.exit(main())
