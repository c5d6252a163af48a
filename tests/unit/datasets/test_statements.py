from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from gradient_operator.datasets.provenance import Making, encode, spec_digest, statement
from gradient_operator.datasets.signing import KeyUnusable, Signer, Verifier
from gradient_operator.datasets.statements import find_statements, read_signer, write_statement
from tests.unit.datasets.test_signing import private, public

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.datasets.store import BlobStore

DIGEST, INPUT, SPEC, IMAGE = "ab" * 32, "cd" * 32, "ef" * 32, "12" * 32
COMMIT = "a" * 40
OLD, NEW = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
VERSION = {"dataset": "digits", "version": "k5tq3nfdxw2a", "digest": DIGEST, "bytes": 7, "files": 1}
JOB = Making(
    namespace="team-a",
    spec=VERSION,
    origin={
        "run": "train-x",
        "runUID": "uid-1",
        "job": "train",
        "output": "model",
        "attempt": 2,
        "workflow": "train",
        "inputs": ["team-a/raw:abcdefgh2345", "team-b/gone:abcdefgh2345"],
        "inputDigests": {"team-a/raw:abcdefgh2345": INPUT},
        "specDigest": SPEC,
        "repository": "https://github.com/x/y.git",
        "revision": COMMIT,
        "images": {
            "main": f"docker.io/library/python@sha256:{IMAGE}",
            "uploader": f"sha256:{IMAGE}",
        },
        "startedAt": "2026-01-31T12:00:00Z",
        "finishedAt": "2026-01-31T12:30:00Z",
    },
    created="2026-01-31T12:30:01Z",
)
PUT = Making(namespace="team-a", spec=VERSION | {"message": "by hand"}, created="2026-01-31T13:00Z")
NAME = "team-a/digits:k5tq3nfdxw2a"


def keys(*pairs: ed25519.Ed25519PrivateKey) -> Verifier:
    return Verifier.load([public(key) for key in pairs])


def signer(key: ed25519.Ed25519PrivateKey) -> Signer:
    return Signer.load(private(key))


def test_a_job_is_told_as_slsa_has_it() -> None:
    assert statement(JOB) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": NAME, "digest": {"sha256": DIGEST}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://gradient.run/provenance/job/v1",
                "externalParameters": {
                    "namespace": "team-a",
                    "workflow": "train",
                    "run": "train-x",
                    "job": "train",
                    "output": "model",
                    "specDigest": {"sha256": SPEC},
                    "source": {"repository": "https://github.com/x/y.git", "revision": COMMIT},
                },
                "internalParameters": {"attempt": 2},
                "resolvedDependencies": [
                    {
                        "name": "main",
                        "uri": f"oci://docker.io/library/python@sha256:{IMAGE}",
                        "digest": {"sha256": IMAGE},
                    },
                    {"name": "team-a/raw:abcdefgh2345", "digest": {"sha256": INPUT}},
                    {"name": "team-b/gone:abcdefgh2345"},
                    {
                        "name": "source",
                        "uri": f"git+https://github.com/x/y.git@{COMMIT}",
                        "digest": {"gitCommit": COMMIT},
                    },
                ],
            },
            "runDetails": {
                "builder": {
                    "id": "https://gradient.run/operator",
                    "builderDependencies": [{"name": "uploader", "digest": {"sha256": IMAGE}}],
                },
                "metadata": {
                    "invocationId": "uid-1/train/2",
                    "startedOn": "2026-01-31T12:00:00Z",
                    "finishedOn": "2026-01-31T12:30:00Z",
                },
            },
        },
    }


def test_a_put_has_no_run() -> None:
    predicate = statement(PUT)["predicate"]
    assert predicate["runDetails"] == {
        "builder": {"id": "https://gradient.run/cli"},
        "metadata": {"finishedOn": "2026-01-31T13:00Z"},
    }
    assert predicate["buildDefinition"]["externalParameters"]["message"] == "by hand"


def test_the_spec_is_the_same_whether_the_run_was_cancelled() -> None:
    spec = {"workflow": "é", "definition": {"jobs": {}}}
    assert spec_digest(spec) == spec_digest({"cancel": True, "cancelReason": "x", **spec})
    assert spec_digest(spec) != spec_digest(spec | {"workflow": "e"})


def test_each_making_has_a_place_of_its_own_beside_the_others(store: BlobStore) -> None:
    again = replace(JOB, origin=JOB.origin | {"runUID": "uid-2"})
    retried = replace(JOB, origin=JOB.origin | {"attempt": 3})
    for making in (JOB, again, PUT, retried):
        write_statement(store, making, None)
    found = list(find_statements(store, DIGEST, NAME))
    assert len(found) == 3
    assert all(each.body is not None and not each.verified for each in found)
    assert {each.key.split("/")[3] for each in found} == {DIGEST}


def test_the_same_content_under_another_name_is_another_matter(store: BlobStore) -> None:
    write_statement(store, replace(JOB, namespace="team-b"), None)
    assert list(find_statements(store, DIGEST, NAME)) == []
    (found,) = find_statements(store, DIGEST, "team-b/digits:k5tq3nfdxw2a")
    assert found.body is not None


def test_a_key_that_comes_later_signs_what_was_told_before(store: BlobStore) -> None:
    first = write_statement(store, JOB, None)
    second = write_statement(store, JOB, signer(OLD), present={first})
    assert second == JOB.signed_key
    (found,) = find_statements(store, DIGEST, NAME, keys(OLD))
    assert found.verified
    assert found.body == statement(JOB)


def test_keys_change_and_what_was_signed_stays(store: BlobStore) -> None:
    present = {write_statement(store, JOB, signer(OLD))}
    before = bytes(store.get(JOB.signed_key))
    write_statement(store, JOB, signer(NEW), present=present)
    write_statement(store, PUT, signer(NEW), present=present)
    assert bytes(store.get(JOB.signed_key)) == before
    both = list(find_statements(store, DIGEST, NAME, keys(NEW, OLD)))
    assert [each.verified for each in both] == [True, True]
    assert {each.key_ids for each in both} == {(signer(OLD).key_id,), (signer(NEW).key_id,)}
    verified = [each.key for each in find_statements(store, DIGEST, NAME, keys(NEW)) if each.body]
    assert verified == [PUT.signed_key]


def changed(envelope: dict[str, object]) -> bytes:
    forged = encode(statement(replace(JOB, origin=JOB.origin | {"run": "other"})))
    return encode(envelope | {"payload": signer(NEW).sign(forged)["payload"]})


@pytest.mark.parametrize(
    ("forge", "problem"),
    [
        (changed, "none of the given keys"),
        (lambda _: encode(signer(NEW).sign(encode(statement(JOB)))), "none of the given keys"),
        (lambda _: encode(signer(OLD).sign(b"{}")), "no in-toto statement"),
        (
            lambda _: encode(
                signer(OLD).sign(encode(statement(replace(JOB, spec=VERSION | {"digest": INPUT}))))
            ),
            "about another version",
        ),
        (lambda _: b"x" * 2_000_000, "larger than a statement"),
        (lambda _: b"", "no DSSE envelope"),
    ],
)
def test_what_was_changed_is_not_trusted(store: BlobStore, forge: object, problem: str) -> None:
    write_statement(store, JOB, signer(OLD))
    envelope = json.loads(bytes(store.get(JOB.signed_key)))
    store.put(JOB.signed_key, forge(envelope))  # type: ignore[operator]
    (found,) = find_statements(store, DIGEST, NAME, keys(OLD))
    assert found.body is None
    assert not found.verified
    assert problem in found.problem


def test_what_nobody_signed_is_not_trusted_when_keys_are_given(store: BlobStore) -> None:
    write_statement(store, JOB, None)
    (found,) = find_statements(store, DIGEST, NAME, keys(OLD))
    assert (found.body, found.problem) == (None, "it is not signed")


def test_a_key_is_read_from_a_file_that_need_not_be_there(tmp_path: Path) -> None:
    assert read_signer(None) is None
    assert read_signer(tmp_path / "key.pem") is None
    (tmp_path / "key.pem").write_bytes(private(OLD))
    found = read_signer(tmp_path / "key.pem")
    assert found is not None
    assert found.key_id == signer(OLD).key_id
    (tmp_path / "key.pem").write_bytes(b"nonsense")
    with pytest.raises(KeyUnusable):
        read_signer(tmp_path / "key.pem")
