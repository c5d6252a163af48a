"""What is told of how a version was made: an in-toto statement with SLSA provenance, in the bucket.

One object for each making of a version of a dataset, beside its manifest:

    provenance/sha256/<manifest digest>/<making>.json        the statement
    provenance/sha256/<manifest digest>/<making>.dsse.json   the same, signed (`signing.py`)

It follows from the cluster's object alone, so whoever writes it writes the same bytes. Formats:
in-toto Statement v1, SLSA Provenance v1; docs/data.md describes the two build types.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.datasets.layout import PROVENANCE, is_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
JOB_BUILD: Final = "https://gradient.run/provenance/job/v1"
PUT_BUILD: Final = "https://gradient.run/provenance/put/v1"
OPERATOR: Final = "https://gradient.run/operator"
COMMAND_LINE: Final = "https://gradient.run/cli"
HELPERS: Final = ("fetch", "uploader")

_IMAGE: Final = re.compile(r"(?:[a-z-]+://)?(?P<name>.*?)@?sha256:(?P<digest>[0-9a-f]{64})")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NOT_SPEC: Final = frozenset({"cancel", "cancelReason"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """One making of a version: its namespace, the object's spec, and `origin` as lineage has it."""

    namespace: str
    spec: Mapping[str, Any]
    origin: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    """When the version was made first (RFC 3339); the time of a making that says none."""

    @property
    def name(self) -> str:
        """`namespace/dataset:version`."""
        return subject_name(self.namespace, self.spec)

    @property
    def key(self) -> str:
        """Where its statement stands in the bucket."""
        return f"{self._stem}.json"

    @property
    def signed_key(self) -> str:
        """Where its signed statement stands in the bucket."""
        return f"{self._stem}.dsse.json"

    @property
    def _stem(self) -> str:
        who = [self.origin.get(key, "") for key in ("runUID", "job", "output")]
        text = "\n".join([self.namespace, self.spec["dataset"], *who])
        making = hashlib.sha256(text.encode()).hexdigest()
        return f"{provenance_folder(self.spec['digest'])}/{making}"


def subject_name(namespace: str, spec: Mapping[str, Any]) -> str:
    """What a statement calls a version: `namespace/dataset:version`."""
    return f"{namespace}/{spec['dataset']}:{spec['version']}"


def provenance_folder(digest: str) -> str:
    """Where the statements about the version with this manifest digest stand."""
    return f"{PROVENANCE}/sha256/{digest}"


def statement(making: Making) -> dict[str, Any]:
    """The in-toto statement about a making."""
    predicate = _of_job(making) if making.origin.get("run") else _of_put(making)
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": making.name, "digest": {"sha256": making.spec["digest"]}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }


def encode(body: Mapping[str, Any]) -> bytes:
    """A statement or envelope as JSON: keys sorted, UTF-8, one line."""
    text = json.dumps(body, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return text.encode() + b"\n"


def spec_digest(spec: Mapping[str, Any]) -> str:
    """The digest of a run's spec: all that was asked for, without whether it was cancelled."""
    kept = {key: value for key, value in spec.items() if key not in _NOT_SPEC}
    text = json.dumps(kept, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _of_job(making: Making) -> dict[str, Any]:
    origin = making.origin
    parameters = {
        "namespace": making.namespace,
        "workflow": origin.get("workflow"),
        "run": origin.get("run"),
        "job": origin.get("job"),
        "output": origin.get("output"),
        "specDigest": _digests(origin.get("specDigest")),
        "source": _known({key: origin.get(key) for key in ("repository", "revision")}),
    }
    images = [_image(name, text) for name, text in sorted((origin.get("images") or {}).items())]
    invocation = "/".join(str(origin.get(key) or "") for key in ("runUID", "job", "attempt"))
    metadata = {
        "invocationId": invocation,
        "startedOn": origin.get("startedAt"),
        "finishedOn": origin.get("finishedAt") or making.created,
    }
    return {
        "buildDefinition": {
            "buildType": JOB_BUILD,
            "externalParameters": _known(parameters),
            "internalParameters": _known(
                {key: origin.get(key) for key in ("attempt", "inputsLeftOut")}
            ),
            "resolvedDependencies": [
                *(image for image in images if image["name"] not in HELPERS),
                *_inputs(origin),
                *_source(origin),
            ],
        },
        "runDetails": {
            "builder": _known(
                {
                    "id": OPERATOR,
                    "builderDependencies": [i for i in images if i["name"] in HELPERS],
                }
            ),
            "metadata": _known(metadata),
        },
    }


def _of_put(making: Making) -> dict[str, Any]:
    parameters = {
        "namespace": making.namespace,
        "dataset": making.spec["dataset"],
        "message": making.spec.get("message"),
    }
    return {
        "buildDefinition": {
            "buildType": PUT_BUILD,
            "externalParameters": _known(parameters),
            "resolvedDependencies": [],
        },
        "runDetails": {
            "builder": {"id": COMMAND_LINE},
            "metadata": _known({"finishedOn": making.created}),
        },
    }


def _inputs(origin: Mapping[str, Any]) -> list[dict[str, Any]]:
    digests = origin.get("inputDigests") or {}
    return [
        _known({"name": name, "digest": _digests(digests.get(name))})
        for name in origin.get("inputs") or ()
    ]


def _source(origin: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The git repository, where it is known."""
    repository, revision = origin.get("repository"), origin.get("revision") or ""
    if not repository and not _COMMIT.fullmatch(revision):
        return []
    uri = f"git+{repository}{f'@{revision}' if revision else ''}" if repository else None
    digest = {"gitCommit": revision} if _COMMIT.fullmatch(revision) else None
    return [_known({"name": "source", "uri": uri, "digest": digest})]


def _image(container: str, text: str) -> dict[str, Any]:
    """A container's image, as `docker.io/library/bash@sha256:…` or `sha256:…`."""
    found = _IMAGE.fullmatch(text)
    if found is None:
        return {"name": container, "uri": f"oci://{text}"}
    name = found["name"]
    return _known(
        {
            "name": container,
            "uri": f"oci://{name}@sha256:{found['digest']}" if name else None,
            "digest": {"sha256": found["digest"]},
        }
    )


def _digests(digest: object) -> dict[str, Any] | None:
    return {"sha256": digest} if is_digest(digest) else None


def _known(values: dict[str, Any]) -> dict[str, Any]:
    """Without what is not known."""
    return {key: value for key, value in values.items() if value}
