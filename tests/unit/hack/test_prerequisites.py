"""What is missing is installed where that is safe, and said in one sentence elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hack.cluster import prerequisites
from hack.cluster.prerequisites import Prerequisite, System
from hack.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

PRESENT = Prerequisite("sh", "dash")
MISSING = Prerequisite("no-such-program", "missing-package", check=lambda: False)
ALSO_MISSING = Prerequisite("nor-this", "missing-package", check=lambda: False)
DEBIAN_ROOT = System(debian=True, root=True)


def test_present_looks_for_programs_on_the_path():
    assert PRESENT.present()
    assert not Prerequisite("no-such-program-anywhere", "x").present()


def test_present_takes_any_of_several_files(tmp_path: Path):
    (tmp_path / "b").touch()
    assert Prerequisite("x", "x", files=(tmp_path / "a", tmp_path / "b")).present()
    assert not Prerequisite("x", "x", files=(tmp_path / "a",)).present()


def test_ensure_does_nothing_when_all_is_there():
    prerequisites.ensure([PRESENT], system=DEBIAN_ROOT, install=pytest.fail)


def test_ensure_names_the_command_to_a_user_who_is_not_root():
    with pytest.raises(SetupError) as caught:
        prerequisites.ensure([PRESENT, MISSING], system=System(debian=True, root=False))
    sentence = str(caught.value)
    assert "no-such-program" in sentence
    assert "sudo apt-get install -y --no-install-recommends missing-package" in sentence
    assert "\n" not in sentence


def test_ensure_names_kind_as_the_way_out_on_other_systems():
    with pytest.raises(SetupError) as caught:
        prerequisites.ensure([MISSING], system=System(debian=False, root=True))
    sentence = str(caught.value)
    assert "kind" in sentence
    assert "missing-package" in sentence
    assert "\n" not in sentence


def test_ensure_installs_each_package_once_for_root_on_debian():
    installed: list[str] = []
    there = []
    waiting = Prerequisite("late", "missing-package", check=lambda: bool(there))

    def install(packages: list[str]) -> None:
        installed.extend(packages)
        there.append(True)

    prerequisites.ensure([waiting, waiting], system=DEBIAN_ROOT, install=install)
    assert installed == ["missing-package"]


def test_ensure_says_what_is_still_missing_after_the_installation():
    with pytest.raises(SetupError, match="nor-this"):
        prerequisites.ensure([ALSO_MISSING], system=DEBIAN_ROOT, install=lambda packages: None)


def test_require_root_names_both_ways_out():
    with pytest.raises(SetupError, match=r"sudo.*kind"):
        prerequisites.require_root(System(debian=True, root=False))


def test_require_linux_sends_others_to_kind():
    with pytest.raises(SetupError, match="kind"):
        prerequisites.require_linux("darwin")


def test_static_busybox_is_told_from_one_that_needs_libraries(monkeypatch, tmp_path: Path):
    linked, static = tmp_path / "linked", tmp_path / "static"
    linked.write_bytes(b"\x7fELF" + b"\0" * 600 + b"/lib64/ld-linux-x86-64.so.2\0")
    static.write_bytes(b"\x7fELF" + b"\0" * 5000)
    monkeypatch.setattr(prerequisites, "BUSYBOX_PLACES", (linked,))
    assert prerequisites.static_busybox() is None
    monkeypatch.setattr(prerequisites, "BUSYBOX_PLACES", (linked, static))
    assert prerequisites.static_busybox() == static
