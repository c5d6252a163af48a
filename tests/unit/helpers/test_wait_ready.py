from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from gradient_operator.helpers import wait_ready

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_returns_as_soon_as_the_marker_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "ready"
    monkeypatch.setenv("GRADIENT_READY_FILE", str(marker))
    asked = threading.Event()
    monkeypatch.setattr(wait_ready.time, "sleep", lambda _: asked.set())
    writer = threading.Thread(target=lambda: asked.wait() and marker.touch())
    writer.start()

    assert wait_ready.main() == 0
    writer.join()


def test_gives_up_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADIENT_READY_FILE", str(tmp_path / "ready"))
    monkeypatch.setenv("GRADIENT_READY_SECONDS", "0.05")

    assert wait_ready.main() == 1
    assert "was not ready after 0.05 s" in capsys.readouterr().err
