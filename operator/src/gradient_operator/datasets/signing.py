"""Signs statements, and checks signatures: DSSE envelopes with Ed25519 or ECDSA P-256 keys.

An envelope holds the exact bytes that were signed, so nothing has to be made canonical. Its key id
is the SHA-256 of the public key (DER, SubjectPublicKeyInfo): a hint, as anybody can write one;
checking tries every key that is trusted. DSSE: https://github.com/secure-systems-lab/dsse, v1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from gradient_operator.datasets.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
LARGEST_ENVELOPE: Final = 1024 * 1024
_CURVE: Final = "secp256r1"
_MAKE: Final = "make one with: openssl genpkey -algorithm ed25519 -out key.pem"


class KeyUnusable(DatasetError):
    """A key is not PEM, or not of a kind that is known here."""

    default_reason = "KeyUnusable"


class SignatureInvalid(DatasetError):
    """An envelope is malformed, or none of the trusted keys has signed what it holds."""

    default_reason = "SignatureInvalid"


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key."""

    key: PrivateKey
    key_id: str

    @classmethod
    def load(cls, pem: bytes) -> Signer:
        """Read an unencrypted private key.

        Raises:
            KeyUnusable: it is none of ours.
        """
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise KeyUnusable(f"The private key is no PEM ({error}): {_MAKE}.") from None
        if isinstance(key, ed25519.Ed25519PrivateKey) or (
            isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == _CURVE
        ):
            return cls(key, _key_id(key.public_key()))
        raise KeyUnusable(f"The private key is neither Ed25519 nor ECDSA P-256: {_MAKE}.")

    def sign(self, payload: bytes) -> dict[str, Any]:
        """The envelope of a statement's bytes."""
        signature = _sign(self.key, pre_authentication(PAYLOAD_TYPE, payload))
        return {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": self.key_id, "sig": base64.b64encode(signature).decode()}],
        }


@dataclass(frozen=True, slots=True)
class Verifier:
    """The public keys that are trusted: several, while keys are changed."""

    keys: tuple[tuple[str, PublicKey], ...]

    @classmethod
    def load(cls, pems: Iterable[bytes]) -> Verifier:
        """Read public keys.

        Raises:
            KeyUnusable: one is none of ours.
        """
        return cls(tuple(_public_key(pem) for pem in pems))

    def open(self, data: bytes) -> tuple[bytes, str]:
        """The payload of an envelope, and the id of the key that signed it.

        Raises:
            SignatureInvalid: the envelope is malformed, or signed by none of the keys.
        """
        payload, signatures = read_envelope(data)
        message = pre_authentication(PAYLOAD_TYPE, payload)
        for key_id, key in self.keys:
            if any(_signed(key, signature, message) for _, signature in signatures):
                return payload, key_id
        raise SignatureInvalid("it is signed by none of the given keys, or was changed")


def read_envelope(data: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    """The payload of an envelope and its signatures with their key ids, unchecked.

    Raises:
        SignatureInvalid: it is no envelope of a statement.
    """
    try:
        raw = json.loads(data[: LARGEST_ENVELOPE + 1])
        if raw["payloadType"] != PAYLOAD_TYPE:
            raise ValueError(raw["payloadType"])
        signatures = [
            (str(item.get("keyid") or ""), base64.b64decode(item["sig"], validate=True))
            for item in raw["signatures"]
        ]
        return base64.b64decode(raw["payload"], validate=True), signatures
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        binascii.Error,
    ):
        raise SignatureInvalid("it is no DSSE envelope of an in-toto statement") from None


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed (PAE of DSSE v1)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _public_key(pem: bytes) -> tuple[str, PublicKey]:

    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError) as error:
        raise KeyUnusable(
            f"The public key is no PEM ({error}): make it from the private one with openssl pkey "
            "-in key.pem -pubout -out public.pem."
        ) from None
    if isinstance(key, ed25519.Ed25519PublicKey) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == _CURVE
    ):
        return _key_id(key), key
    raise KeyUnusable("The public key is neither Ed25519 nor ECDSA P-256.")


def _key_id(key: PublicKey) -> str:

    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


def _sign(key: PrivateKey, message: bytes) -> bytes:

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    return key.sign(message, ec.ECDSA(SHA256()))


def _signed(key: PublicKey, signature: bytes, message: bytes) -> bool:

    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            key.verify(signature, message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
