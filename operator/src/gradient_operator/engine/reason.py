"""What a reason is: the shape of the catalogue's entries in `reasons`."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["wait", "blocked", "failure", "refusal", "end"]
"""wait: goes on by itself. blocked: needs somebody. failure: an attempt failed. refusal: the run
cannot start. end: a job that ended without having run."""

KINDS: Final[dict[Kind, str]] = {
    "wait": "Waits that end by themselves",
    "blocked": "Waits that need somebody",
    "failure": "Failures of an attempt",
    "refusal": "Runs that are refused",
    "end": "Jobs that did not run, or not to their end",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason: its CamelCase name, kind, a title for a heading, what it means, what to do."""

    id: str
    kind: Kind
    title: str
    means: str
    remedy: str
