"""Sizes as people read them, the same in `kubectl get`, in messages and on the command line."""

from typing import Final

_KIBI: Final = 1024


def size_text(count: int) -> str:
    """Bytes as `512 B`, `1.5 MiB`."""
    if count < _KIBI:
        return f"{count} B"
    value = float(count)
    unit = "B"
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):  # noqa: B007 - the last one stands for more
        value /= _KIBI
        if value < _KIBI:
            break
    return f"{value:.1f} {unit}"
