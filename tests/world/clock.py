"""Time that passes only when nobody has anything to do: an hour of a run takes milliseconds.

`world_time` makes all code of the operator read this clock, also where a class has taken
`time.monotonic` as a default long ago.
"""

import asyncio
import contextlib
import selectors
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

EPOCH = 1_800_000_000.0
"""What the wall clock says when a world begins."""

SHORTEST = 1e-6
"""Seconds that a turn of the loop takes: who waits for less than the clock can tell gets on."""


class Stuck(Exception):
    """Nothing will ever happen again."""


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Does not wait: it moves the clock to where the wait would end."""

    loop: "WorldLoop"

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            raise Stuck
        self.loop.seconds += max(timeout or 0.0, SHORTEST)
        return ready


class WorldLoop(asyncio.SelectorEventLoop):
    """An event loop in world time; `jump` is what somebody did to the wall clock, in seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.jump = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return EPOCH + self.seconds + self.jump


_current: list[WorldLoop] = []


def _monotonic() -> float:
    return _current[-1].seconds


def _wall() -> float:
    return _current[-1].wall()


_OURS: dict[Callable[[], float], Callable[[], float]] = {
    time.monotonic: _monotonic,
    time.time: _wall,
}


def _constructors() -> Iterator[Any]:
    for name, module in list(sys.modules.items()):
        if not name.startswith("gradient_operator"):
            continue
        for value in list(vars(module).values()):
            if isinstance(value, type) and value.__module__ == name and "__init__" in vars(value):
                yield value.__init__


def _swap(value: Any) -> Any:
    return _OURS.get(value, value) if callable(value) else value


def _swapped() -> Iterator[tuple[Any, Any, Any]]:
    for made in _constructors():
        defaults, keywords = made.__defaults__, made.__kwdefaults__
        new = tuple(map(_swap, defaults)) if defaults else defaults
        more = {name: _swap(value) for name, value in keywords.items()} if keywords else keywords
        if new != defaults or more != keywords:
            yield made, new, more


@contextlib.contextmanager
def world_time(loop: WorldLoop) -> Iterator[None]:
    """Let the operator's code live in the time of this loop."""
    found = list(_swapped())
    before = [(made, made.__defaults__, made.__kwdefaults__) for made, _, _ in found]
    for made, new, more in found:
        made.__defaults__, made.__kwdefaults__ = new, more
    real = time.monotonic, time.time
    _current.append(loop)
    time.monotonic, time.time = _monotonic, _wall  # type: ignore[assignment]
    try:
        yield
    finally:
        time.monotonic, time.time = real  # type: ignore[assignment]
        _current.pop()
        for made, old, more in before:
            made.__defaults__, made.__kwdefaults__ = old, more
