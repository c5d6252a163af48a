"""Signs tokens as a cluster does for its service accounts, and says how SeaweedFS trusts them."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

AUDIENCE = "gradient-storage"
ROLE = "arn:aws:iam::role/datasets"
ACCOUNT = "system:serviceaccount:team-a:datasets"


class TokenIssuer:
    """An issuer whose keys are published on the loopback device while it is entered."""

    name = "https://cluster.example.org"

    def __init__(self) -> None:
        self._key = new_key()

    def __enter__(self) -> Self:
        body = json.dumps({"keys": [_published(self._key)]}).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def keys(self) -> str:
        """Where the keys are published."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def token(self, *, key: RSAPrivateKey | None = None, age: int = 0, **claims: object) -> str:
        """A token of one hour, `age` seconds old; good, unless claims or key are others'."""
        issued = int(time.time()) - age
        usual = {"iss": self.name, "aud": [AUDIENCE], "sub": ACCOUNT}
        times = {"iat": issued, "nbf": issued, "exp": issued + 3600}
        head = {"alg": "RS256", "kid": "cluster", "typ": "JWT"}
        signed = ".".join(
            _text(json.dumps(part).encode()) for part in (head, usual | times | claims)
        )
        signature = (key or self._key).sign(signed.encode(), PKCS1v15(), SHA256())
        return f"{signed}.{_text(signature)}"


def new_key() -> RSAPrivateKey:
    """A key that nobody else has."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def _published(key: RSAPrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    modulus, exponent = (
        _text(number.to_bytes((number.bit_length() + 7) // 8)) for number in (numbers.n, numbers.e)
    )
    return {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": "cluster",
        "n": modulus,
        "e": exponent,
    }


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def trusting(issuer: str, *, keys: str, account: str = ACCOUNT) -> dict[str, Any]:
    """SeaweedFS' `-s3.iam.config`: who may take ROLE, which opens all buckets but makes none."""
    allowed = {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}
    trusted = {
        "Effect": "Allow",
        "Principal": {"Federated": "cluster"},
        "Action": ["sts:AssumeRoleWithWebIdentity"],
        "Condition": {"StringEquals": {"oidc:sub": account}},
    }
    tokens = {"issuer": issuer, "clientId": AUDIENCE, "jwksUri": keys}
    return {
        "sts": {
            "tokenDuration": "1h",
            "maxSessionLength": "12h",
            "issuer": "seaweedfs",
            "signingKey": "bm90IGEgc2VjcmV0OiBvbmUgdGVzdCdzIHNlcnZlcg==",
        },
        "providers": [{"name": "cluster", "type": "oidc", "enabled": True, "config": tokens}],
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "policies": [
            {"name": "datasets", "document": {"Version": "2012-10-17", "Statement": [allowed]}}
        ],
        "roles": [
            {
                "roleName": "datasets",
                "roleArn": ROLE,
                "attachedPolicies": ["datasets"],
                "trustPolicy": {"Version": "2012-10-17", "Statement": [trusted]},
            }
        ],
    }
