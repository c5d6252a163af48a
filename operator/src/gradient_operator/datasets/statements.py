"""Puts statements about versions into the bucket, finds them there, and says which can be trusted.

Whoever may write into the bucket may write there what he likes: only a signature makes a statement
worth more than its place, and only by a key that the reader trusts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gradient_operator.datasets.errors import BlobMissingError
from gradient_operator.datasets.provenance import (
    STATEMENT_TYPE,
    Making,
    encode,
    provenance_folder,
    statement,
)
from gradient_operator.datasets.signing import (
    LARGEST_ENVELOPE,
    KeyUnusable,
    SignatureInvalid,
    Signer,
    Verifier,
    read_envelope,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

    from gradient_operator.datasets.store import BlobStore

SIGNED: Final = ".dsse.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A statement about a version: where it stands, what it says, and who has signed it."""

    key: str
    body: dict[str, Any] | None
    """None: it cannot be read, or was asked to be verified and is not to be trusted."""
    key_ids: tuple[str, ...] = ()
    """Of the keys that are said to have signed it; of the one that has, if it was verified."""
    verified: bool = False
    problem: str = ""


def read_signer(path: Path | None) -> Signer | None:
    """The key in this file; None without a file.

    Raises:
        KeyUnusable: what is there is no key.
    """
    if path is None:
        return None
    try:
        pem = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyUnusable(f"The key {path} cannot be read: {error.strerror}.") from None
    return Signer.load(pem)


def write_statement(
    store: BlobStore, making: Making, signer: Signer | None, *, present: Container[str] = ()
) -> str:
    """Write what is to be told of a making, unless it is `present`; answers its key.

    A statement that was written before there was a key is written again, signed; one that is
    signed is left as it is.

    Raises:
        StorageError: the storage does not take it.
    """
    if making.signed_key in present:
        return making.signed_key
    if signer is not None:
        store.put(making.signed_key, encode(signer.sign(encode(statement(making)))))
        return making.signed_key
    if making.key not in present:
        store.put(making.key, encode(statement(making)))
    return making.key


def find_statements(
    store: BlobStore, digest: str, name: str, verifier: Verifier | None = None
) -> Iterator[Found]:
    """What the bucket tells of the version `name` (`namespace/dataset:version`) with this digest.

    Statements about the same content under another name are left out. With a `verifier` only what
    it accepts has a body.

    Raises:
        StorageError: the storage does not answer or refuses us.
    """
    infos = {info.key: info for info in store.list_few(provenance_folder(digest))}
    for key, info in sorted(infos.items()):
        stem = key.removesuffix(SIGNED)
        if stem == key and f"{key.removesuffix('.json')}{SIGNED}" in infos:
            continue  # written before there was a key
        if info.size > LARGEST_ENVELOPE:
            yield Found(key=key, body=None, problem="it is larger than a statement can be")
            continue
        try:
            data = bytes(store.get(key))
        except BlobMissingError:
            continue  # It was deleted with its version while the folder was listed.
        found = _read(key, data, verifier)
        if found.body is not None and not _is_about(found.body, digest, name):
            if _is_about(found.body, digest, None):
                continue
            found = Found(key=key, body=None, problem="it is about another version")
        yield found


def _read(key: str, data: bytes, verifier: Verifier | None) -> Found:
    try:
        if not key.endswith(SIGNED):
            problem = "it is not signed" if verifier is not None else ""
            return Found(key=key, body=None if problem else _statement(data), problem=problem)
        payload, signatures = read_envelope(data)
        if verifier is None:
            key_ids = tuple(key_id for key_id, _ in signatures)
            return Found(key=key, body=_statement(payload), key_ids=key_ids)
        payload, key_id = verifier.open(data)
        return Found(key=key, body=_statement(payload), key_ids=(key_id,), verified=True)
    except SignatureInvalid as error:
        return Found(key=key, body=None, problem=str(error))


def _statement(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or body.get("_type") != STATEMENT_TYPE:
        raise SignatureInvalid("it is no in-toto statement")
    return body


def _is_about(body: dict[str, Any], digest: str, name: str | None) -> bool:
    subjects = body.get("subject")
    return isinstance(subjects, list) and any(
        isinstance(subject, dict)
        and name in {None, subject.get("name")}
        and isinstance(subject.get("digest"), dict)
        and subject["digest"].get("sha256") == digest
        for subject in subjects
    )
