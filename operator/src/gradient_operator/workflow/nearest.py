"""The hint behind "is not known": the nearest known name, or what there is to choose from."""

import difflib
from collections.abc import Iterable

_SHOWN = 8


def nearest(name: str, known: Iterable[str], none: str) -> str:
    """A clause to end a sentence with; `none` is the clause when nothing is known at all.

    Case counts last: a name that differs in case only is the nearest.
    """
    names = list(known)
    by_lower = {other.lower(): other for other in names}
    if name.lower() in by_lower:
        return f"did you mean {by_lower[name.lower()]!r}?"
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return none
    more = ", …" if len(names) > _SHOWN else ""
    return f"there are {', '.join(names[:_SHOWN])}{more}"
