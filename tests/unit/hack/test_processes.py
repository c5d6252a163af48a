"""Programs are found again after we are gone, and nothing else is ever mistaken for one of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hack.cluster import processes
from hack.cluster.processes import Component, Identity, ProcessTable
from hack.errors import SetupError

SLEEPER = Component("sleeper", (sys.executable, "-c", "import time; time.sleep(600)"))


@pytest.fixture
def table(tmp_path: Path):
    table = ProcessTable(folder=tmp_path / "processes", logs=tmp_path / "logs")
    yield table
    table.stop(table.names(), grace=0)


def start_and_require(table: ProcessTable, component: Component) -> None:
    """Start a program and wait for its end, as whoever waits for it to be ready would."""
    table.start(component)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        table.require(component.name)
        time.sleep(0.01)


def fake_proc(folder: Path, *, pid: int, start_time: int, command: tuple[str, ...]) -> Path:
    """A /proc with one process in it."""
    entry = folder / "proc" / str(pid)
    entry.mkdir(parents=True, exist_ok=True)
    fields = ["S", *["0"] * 18, str(start_time), "0"]
    (entry / "stat").write_text(f"{pid} (a name) with) brackets) {' '.join(fields)}")
    (entry / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in command))
    boot = folder / "proc/sys/kernel/random"
    boot.mkdir(parents=True, exist_ok=True)
    (boot / "boot_id").write_text("this boot\n")
    return folder / "proc"


def recorded(folder: Path, *, command: tuple[str, ...], boot: str = "this boot") -> ProcessTable:
    """A table that knows one program, as a start in a fake /proc would have left it."""
    proc = fake_proc(folder, pid=4711, start_time=1000, command=command)
    table = ProcessTable(folder=folder / "processes", logs=folder / "logs", proc=proc)
    table.folder.mkdir()
    (table.folder / "etcd.json").write_text(json.dumps({"command": command, "boot": boot}))
    (table.folder / "etcd.stat").write_text((proc / "4711/stat").read_text())
    return table


def test_running_finds_a_program_by_id_start_time_and_command(tmp_path: Path):
    table = recorded(tmp_path, command=("etcd", "--data-dir=/x"))
    assert table.running("etcd") == Identity(4711, 1000)


def test_running_rejects_an_id_that_was_given_to_a_later_process(tmp_path: Path):
    table = recorded(tmp_path, command=("etcd", "--data-dir=/x"))
    fake_proc(tmp_path, pid=4711, start_time=2000, command=("etcd", "--data-dir=/x"))
    assert table.running("etcd") is None


def test_running_rejects_another_command_under_the_same_id(tmp_path: Path):
    table = recorded(tmp_path, command=("etcd", "--data-dir=/x"))
    fake_proc(tmp_path, pid=4711, start_time=1000, command=("someone", "else"))
    assert table.running("etcd") is None


def test_running_rejects_a_record_of_an_earlier_boot(tmp_path: Path):
    table = recorded(tmp_path, command=("etcd",), boot="another boot")
    assert table.running("etcd") is None


def test_running_rejects_a_record_that_was_cut_off(tmp_path: Path):
    table = recorded(tmp_path, command=("etcd",))
    (table.folder / "etcd.stat").write_text("47")
    assert table.running("etcd") is None


def test_zombie_is_not_running(tmp_path: Path):
    proc = fake_proc(tmp_path, pid=4711, start_time=1000, command=("etcd",))
    stat = proc / "4711/stat"
    stat.write_text(stat.read_text().replace(" S ", " Z "))
    assert processes.read_identity(4711, proc=proc) is None


def test_start_is_found_by_another_table_and_not_started_twice(table: ProcessTable):
    assert table.start(SLEEPER)
    first = table.running("sleeper")
    other = ProcessTable(folder=table.folder, logs=table.logs)
    assert not other.start(SLEEPER)
    assert other.running("sleeper") == first is not None


def test_start_gives_the_program_a_session_of_its_own(table: ProcessTable):
    table.start(SLEEPER)
    found = table.running("sleeper")
    assert found
    assert os.getsid(found.pid) == found.pid


def test_start_reports_the_last_words_of_a_program_that_ends_at_once(table: ProcessTable):
    broken = Component("broken", ("/bin/sh", "-c", "echo no such luck >&2; exit 3"))
    with pytest.raises(SetupError, match="no such luck"):
        start_and_require(table, broken)


def test_stop_ends_a_program_that_ignores_sigterm(table: ProcessTable, tmp_path: Path):
    ready = tmp_path / "ready"
    code = (
        "import pathlib, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
    )
    table.start(Component("stubborn", (sys.executable, "-c", code, str(ready))))
    deadline = time.monotonic() + 20
    while not ready.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    table.stop(["stubborn"], grace=0.1)
    assert table.running("stubborn") is None
    assert table.names() == []


def test_stop_leaves_a_process_alone_that_got_a_recorded_id(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as bystander:
        table = ProcessTable(folder=tmp_path / "processes", logs=tmp_path / "logs")
        table.folder.mkdir()
        stat = Path(f"/proc/{bystander.pid}/stat").read_text()
        (table.folder / "etcd.stat").write_text(stat)
        record = {"command": ["etcd"], "boot": processes.boot_id()}
        (table.folder / "etcd.json").write_text(json.dumps(record))
        table.stop(["etcd"], grace=0)
        assert bystander.poll() is None
        bystander.kill()


def test_open_process_refuses_an_identity_that_has_passed():
    now = processes.read_identity(os.getpid())
    assert now
    assert processes.open_process(Identity(now.pid, now.start_time - 1)) is None


def test_stop_survives_a_program_that_was_killed_before(table: ProcessTable):
    table.start(SLEEPER)
    found = table.running("sleeper")
    assert found
    os.kill(found.pid, signal.SIGKILL)
    table.stop(["sleeper"], grace=1)
    assert table.names() == []
