"""The cluster's binary is found by everything it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hack.cache import content_key
from hack.cluster import binaries

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name in binaries.SOURCE_FILES:
        (tmp_path / name).write_text(f"content of {name}")
    return tmp_path


def key(folder: Path, go_version: str = "go1.26.1") -> str:
    return content_key(binaries.source_inputs(folder, go_version=go_version))


@pytest.mark.parametrize("name", binaries.SOURCE_FILES)
def test_binary_key_changes_with_every_source_file(sources: Path, name: str):
    before = key(sources)
    (sources / name).write_text("changed")
    assert key(sources) != before


def test_binary_key_changes_with_the_go_version(sources: Path):
    assert key(sources, "go1.26.1") != key(sources, "go1.26.2")


def test_binary_key_does_not_depend_on_where_the_checkout_is(sources: Path, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    for name in binaries.SOURCE_FILES:
        (other / name).write_text(f"content of {name}")
    assert key(sources) == key(other)


def test_build_into_leaves_nothing_when_the_build_fails(tmp_path: Path):
    target = tmp_path / "program"

    def fail(draft: Path) -> None:
        draft.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        binaries.build_into(target, fail)
    assert list(tmp_path.iterdir()) == []


def test_build_into_does_not_build_again(tmp_path: Path):
    target = tmp_path / "program"
    binaries.build_into(target, lambda draft: draft.write_text("first") and None)
    binaries.build_into(target, lambda draft: draft.write_text("second") and None)
    assert target.read_text() == "first"


def test_versions_of_the_sources_and_of_the_flags_agree():
    modules = (binaries.SOURCES / "go.mod").read_text()
    assert f"k8s.io/kubernetes {binaries.KUBERNETES_VERSION}" in modules
    minor = binaries.KUBERNETES_VERSION.split(".")[1]
    assert f"version.gitMinor={minor}" in binaries.linker_flags()


def test_every_component_that_is_linked_is_in_the_binary():
    source = (binaries.SOURCES / "main.go").read_text()
    for name in binaries.COMPONENTS:
        assert f'"{name}":' in source
