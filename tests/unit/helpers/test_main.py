from __future__ import annotations

import subprocess
import sys

import pytest

from gradient_operator.helpers import main as entry

HEAVY = {"obstore", "zstandard", "kopf", "kubernetes", "pydantic", "aiohttp", "asyncio"}
FOREIGN = {"kopf", "kubernetes", "pydantic", "aiohttp", "click", "rich", "yaml"}


def imported(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    return set(output.split())


def test_wait_ready_imports_next_to_nothing() -> None:
    found = imported("import gradient_operator.helpers.main, gradient_operator.helpers.wait_ready")

    assert not found & HEAVY


@pytest.mark.parametrize("helper", ["fetch", "upload", "git_checkout"])
def test_helpers_import_nothing_of_the_operator(helper: str) -> None:
    found = imported(f"import gradient_operator.helpers.{helper}")

    assert not found & FOREIGN
    assert not [
        name
        for name in found
        if name.startswith("gradient_operator.")
        and name.split(".")[1] not in {"datasets", "exits", "helpers"}
    ]


def test_every_command_has_its_module() -> None:
    for module, _ in entry._HELPERS.values():
        assert callable(__import__(module, fromlist=["main"]).main)


def test_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        entry.main(["bake"])
    assert "wait-ready" in capsys.readouterr().err
