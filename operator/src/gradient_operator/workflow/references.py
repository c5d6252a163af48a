"""References in a Gradient file: to outputs, to workflow inputs, to dataset versions, to secrets.

They are not expressions: each is one whole value in one of the spellings of `docs/format.md`.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

_SLOT: Final = re.compile(
    r"^(?:workflow\.inputs\.(?P<input>[^.\s]+)|(?P<job>[^.\s]+)\.outputs\.(?P<output>[^.\s]+))\Z"
)
_DATASET: Final = re.compile(
    r"^(?:(?P<namespace>[A-Za-z0-9][-A-Za-z0-9]*)/)?(?P<name>[A-Za-z0-9][-A-Za-z0-9_.]*)"
    r"(?::(?P<version>[A-Za-z0-9][-A-Za-z0-9_.]*))?\Z"
)
_SECRET: Final = re.compile(r"^secret:(?P<key>[-._A-Za-z0-9]+)\Z")
_VERSION: Final = re.compile(r"^[a-z2-7]{12}\Z")
_NOT_IN_OBJECT_NAME: Final = re.compile(r"[^a-z0-9.-]+")
_AROUND_DOT: Final = re.compile(r"-*\.[-.]*")
"""Each part between dots must begin and end with a letter or digit."""


class ReferenceProblem(ValueError):
    """A reference that cannot be read; the message says what is allowed there."""


@dataclass(frozen=True, slots=True)
class WorkflowInputReference:
    """`workflow.inputs.<name>`."""

    input: str


@dataclass(frozen=True, slots=True)
class JobOutputReference:
    """`<job>.outputs.<name>`."""

    job: str
    output: str


@dataclass(frozen=True, slots=True)
class DatasetReference:
    """`[namespace/]name[:version|:tag|:latest]`; `version` is None for the newest one."""

    name: str
    namespace: str | None = None
    version: str | None = None

    @property
    def object_name(self) -> str:
        """The name of the `GradientDataset`."""
        return object_name(self.name)

    def __str__(self) -> str:
        """As people write it."""
        text = self.name if self.namespace is None else f"{self.namespace}/{self.name}"
        return text if self.version is None else f"{text}:{self.version}"


def parse_slot(text: str) -> WorkflowInputReference | JobOutputReference:
    """Read the reference of a job's input.

    Raises:
        ReferenceProblem: it has neither of the two forms.
    """
    match = _SLOT.match(text)
    if match is None:
        raise ReferenceProblem(
            f"{text!r} is no reference: write JOB.outputs.NAME or workflow.inputs.NAME"
        )
    if match["input"] is not None:
        return WorkflowInputReference(match["input"])
    return JobOutputReference(match["job"], match["output"])


def parse_dataset(text: str) -> DatasetReference:
    """Read the `ref` (or old `id`) of a dataset.

    Raises:
        ReferenceProblem: it is not `[namespace/]name[:version]`.
    """
    match = _DATASET.match(text)
    if match is None:
        raise ReferenceProblem(
            f"{text!r} is no dataset reference: write NAME, NAME:VERSION or NAMESPACE/NAME"
        )
    version = match["version"]
    return DatasetReference(
        name=match["name"],
        namespace=match["namespace"],
        version=None if version == "latest" else version,
    )


def parse_secret(value: str) -> str | None:
    """The key that a value `secret:KEY` names, or None for an ordinary value."""
    match = _SECRET.match(value)
    return match["key"] if match else None


def is_version_id(text: str) -> bool:
    """Whether the text has the form of a version id; otherwise it is a tag."""
    return _VERSION.match(text) is not None


def version_id(digest: str) -> str:
    """The 12 characters by which people name a version: the digest's first 60 bits in base32."""
    return base64.b32encode(bytes.fromhex(digest)).decode().lower()[:12]


def object_name(name: str, *, limit: int = 240) -> str:
    """The name of the cluster object for a name in a Gradient file (RFC 1123, `limit` characters).

    A name that is valid already stays as it is; another one is mapped and gets a hash of the
    original, so that two different names never meet in one object.
    """
    mapped = _NOT_IN_OBJECT_NAME.sub("-", name.lower())
    mapped = _AROUND_DOT.sub(".", mapped).strip("-.")
    if mapped == name and len(name) <= limit:
        return name
    suffix = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{mapped[: limit - 7].rstrip('-.')}-{suffix}".lstrip("-")
