"""What the catalogue says of a rule. Knows nothing of how rules are checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that can be wrong with a file.

    The examples are whole files, and tests: the wrong one breaks this rule and no other, the right
    one none at all. They may be missing where an example would be longer than a page.
    """

    id: str
    """What messages end with, in brackets; also the name of the page."""
    severity: Literal["error", "warning"]
    title: str
    """One line, without a full stop."""
    why: str
    """Why it matters and what to do, in Markdown."""
    wrong: str = ""
    right: str = ""
    ellipsis: int = 0
    """In the wrong example `…` stands for that many characters."""
    given: Mapping[str, str] | None = None
    """For rules about the start of a run: the values that it is started with."""
