"""Refuses filters that can match no branch or tag, so that no push would ever start a run."""

import re
from typing import Final

from gradient_operator.api.triggers import RefFilter
from gradient_operator.workflow.state import Compilation

_SEVERAL: Final = re.compile(r"[^,\s][,\s]+[^,\s]")
_PATTERN: Final = frozenset("*?^$()[]{}|\\")
"""What only a pattern has, in which a comma may mean something."""


def check(state: Compilation) -> None:
    """Note filters that hold several names in one text."""
    github = state.file.on.github if state.file.on else None
    if github is None:
        return
    for kind, given in (("branches", github.branches), ("tags", github.tags)):
        _check(state, kind, given or RefFilter())


def _check(state: Compilation, kind: str, given: RefFilter) -> None:
    place = ("on", "github", kind)
    named: list[tuple[tuple[str | int, ...], str | None]] = [((*place, "only"), given.only)]
    for key, names in (("include", given.include), ("ignore", given.ignore)):
        named += [((*place, key, at), name) for at, name in enumerate(names or ())]
    for path, name in named:
        if name and _SEVERAL.search(name.strip()) and _PATTERN.isdisjoint(name):
            text = "is one name, and none has a comma or a space: write a list under `include`"
            state.error(path, text, "several-branches")
