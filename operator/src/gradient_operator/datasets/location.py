"""Where datasets are stored: an S3-compatible bucket or, for tests and laptops, a folder.

A location holds no credential, so it may stand in an environment variable and in logs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

_STRINGS: Final = {
    "endpoint": "endpoint",
    "region": "region",
    "bucket": "bucket",
    "prefix": "prefix",
}
_FLAGS: Final = {"pathStyle": "path_style", "allowHttp": "allow_http"}
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageLocation:
    """One bucket and the folder in it that belongs to datasets."""

    endpoint: str = ""
    """URL of the server; empty means Amazon's own; `file:///folder` is a local folder."""
    region: str = "us-east-1"
    bucket: str = ""
    prefix: str = ""
    """Keys begin with this; without slashes at either end."""
    path_style: bool = True
    """Bucket in the path of the URL; otherwise it is a part of the host name."""
    allow_http: bool = False
    """Accept an endpoint without TLS."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", self.prefix.strip("/"))
        scheme = urlsplit(self.endpoint).scheme if self.endpoint else "https"
        if scheme not in {"http", "https", "file"}:
            raise ValueError(
                f"the storage endpoint {self.endpoint!r} must begin with https://, http:// or file://"
            )
        if scheme == "http" and not self.allow_http:
            raise ValueError(
                f"the storage endpoint {self.endpoint} has no TLS: use https:// or set allowHttp"
            )
        if scheme != "file" and not self.bucket:
            raise ValueError("the storage location names no bucket")
        if any(part in {"", ".", ".."} for part in self.prefix.split("/")) and self.prefix:
            raise ValueError(f"the storage prefix {self.prefix!r} has an empty or dotted part")

    @classmethod
    def from_json(cls, text: str) -> StorageLocation:
        """Read a location from a JSON object with the keys of `to_json`; others are ignored.

        Raises:
            ValueError: the text is not such an object or a value is unusable.
        """
        try:
            raw: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the storage location is not JSON: {error}") from None
        if not isinstance(raw, dict):
            raise ValueError("the storage location is not a JSON object")  # noqa: TRY004  # one kind
        values: dict[str, Any] = {}
        for key, field in (_STRINGS | _FLAGS).items():
            value = raw.get(key)
            if value is None:
                continue
            wanted = bool if key in _FLAGS else str
            if not isinstance(value, wanted) or (isinstance(value, str) and len(value) > _LONGEST):
                raise ValueError(f"the storage location's {key} must be a {wanted.__name__}")
            values[field] = value
        return cls(**values)

    def to_json(self) -> str:
        """Write the location as a JSON object in one line."""
        fields = _STRINGS | _FLAGS
        body = {key: getattr(self, field) for key, field in fields.items()}
        return json.dumps(body, separators=(",", ":"), sort_keys=True)

    @property
    def is_local(self) -> bool:
        """Whether the location is a folder of this machine."""
        return self.endpoint.startswith("file:")

    def __str__(self) -> str:
        if self.is_local:
            return f"the folder {urlsplit(self.endpoint).path}"
        return f"bucket {self.bucket!r} at {self.endpoint or 'the AWS endpoint of ' + self.region}"
