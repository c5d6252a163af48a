"""The hint behind "is not known": the nearest known name, or what there is to choose from."""

import difflib
from collections.abc import Iterable
from itertools import islice

_SHOWN = 8
_COMPARED = 1_000
_DIFFERENCE = 8
"""In length: what is longer or shorter by more is no slip."""
_LONGEST = 64
"""Characters of a name that is compared: none is longer."""


def nearest(name: str, known: Iterable[str], none: str) -> str:
    """A clause to end a sentence with; `none` is the clause when nothing is known at all.

    Case counts last: a name that differs in case only is the nearest.
    """
    names = list(known)
    by_lower = {other.lower(): other for other in names}
    if name.lower() in by_lower:
        return f"did you mean {by_lower[name.lower()]!r}?"
    alike = (other for other in names if abs(len(other) - len(name)) <= _DIFFERENCE)
    near = difflib.get_close_matches(name, islice(alike, _COMPARED), n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return none
    more = ", …" if len(names) > _SHOWN else ""
    return f"there are {', '.join(names[:_SHOWN])}{more}"


def nearest_key(key: str, known: Iterable[str]) -> str | None:
    """The key that was most likely meant: case, `_` and a missing `-` count last; None for none."""
    names = list(known)
    by_letters = {_letters(name): name for name in names}
    if _letters(key) in by_letters:
        return by_letters[_letters(key)]
    if len(key) > _LONGEST:
        return None
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    return near[0] if near else None


def _letters(key: str) -> str:
    return key[:_LONGEST].lower().replace("_", "").replace("-", "")
