from __future__ import annotations

import base64
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gradient_operator.datasets.signing import (
    KeyUnusable,
    SignatureInvalid,
    Signer,
    Verifier,
    pre_authentication,
)

if TYPE_CHECKING:
    from pathlib import Path

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
"""The secret key of test 1 of RFC 8032, section 7.1."""
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}\n'


def private(key: object) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined,no-any-return]


def public(key: object) -> bytes:
    found = key.public_key()  # type: ignore[attr-defined]
    return found.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[no-any-return]


def ed(seed: bytes = SEED) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)


def envelope(key: object) -> bytes:
    return json.dumps(Signer.load(private(key)).sign(PAYLOAD)).encode()


def test_what_is_signed_is_as_dsse_has_it() -> None:
    """The example of the protocol's page."""
    signed = pre_authentication("http://example.com/HelloWorld", b"hello world")
    assert signed == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_the_envelope_of_a_known_key_is_known() -> None:
    found = Signer.load(private(ed())).sign(PAYLOAD)
    assert found["payloadType"] == "application/vnd.in-toto+json"
    assert base64.b64decode(found["payload"]) == PAYLOAD
    assert found["signatures"] == [
        {
            "keyid": "06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9",
            "sig": "LjQjSVPYcxGrQroafXek9J+CrupJq5CZrbjKM2kpsCfRvKduobYB53mXJ51B"
            "CumxZ40InqbvkgtMqML6IRUcCA==",
        }
    ]


@pytest.mark.parametrize("key", [ed(), ec.generate_private_key(ec.SECP256R1())], ids=["ed", "ec"])
def test_what_is_signed_can_be_opened(key: object) -> None:
    other = ed(b"7" * 32)
    payload, key_id = Verifier.load([public(other), public(key)]).open(envelope(key))
    assert payload == PAYLOAD
    assert key_id == Signer.load(private(key)).key_id


@pytest.mark.parametrize("key", [ed(), ec.generate_private_key(ec.SECP256R1())], ids=["ed", "ec"])
def test_other_programs_agree(key: object, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("install the program openssl")
    raw = json.loads(envelope(key))
    (tmp_path / "message").write_bytes(pre_authentication(raw["payloadType"], PAYLOAD))
    (tmp_path / "sig").write_bytes(base64.b64decode(raw["signatures"][0]["sig"]))
    (tmp_path / "key.pem").write_bytes(public(key))
    words = [openssl, "pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", "key.pem"]
    words += ["-sigfile", "sig", "-in", "message"]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        words += ["-digest", "sha256"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def change(**parts: object) -> bytes:
    return json.dumps(json.loads(envelope(ed())) | parts).encode()


@pytest.mark.parametrize(
    "data",
    [
        change(payload=base64.b64encode(PAYLOAD + b" ").decode()),
        change(payloadType="text/plain"),
        change(signatures=[]),
        change(signatures=[{"keyid": "x", "sig": "AAAA"}]),
        change(signatures=[{"sig": 7}]),
        change(signatures="none"),
        change(payload="not base64!"),
        b"",
        b"[]",
        b"[" * 100_000,
        envelope(ed(b"7" * 32)),
    ],
)
def test_nothing_else_can(data: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        Verifier.load([public(ed())]).open(data)


def test_only_keys_of_ours_are_taken() -> None:
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(KeyUnusable, match=r"neither Ed25519 nor ECDSA P-256"):
            Signer.load(private(key))
        with pytest.raises(KeyUnusable, match=r"neither Ed25519 nor ECDSA P-256"):
            Verifier.load([public(key)])
    with pytest.raises(KeyUnusable, match="openssl genpkey"):
        Signer.load(b"no key")
    with pytest.raises(KeyUnusable, match="openssl pkey"):
        Verifier.load([private(ed())])
