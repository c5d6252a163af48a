"""A real token service, SeaweedFS' own, with tokens of all sorts: who is let in, and who is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.credentials import Credentials, WebIdentity
from gradient_operator.datasets.errors import StorageRefusedError
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.store import BlobStore, RetryPolicy
from tests.integration.helpers.processes import Pod
from tests.integration.seaweedfs import S3Server, running
from tests.token_issuer import ROLE, TokenIssuer, new_key, trusting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def issuer() -> Iterator[TokenIssuer]:
    with TokenIssuer() as found:
        yield found


@pytest.fixture(scope="module")
def server(issuer: TokenIssuer) -> Iterator[S3Server]:
    with running(trusting(issuer.name, keys=issuer.keys)) as found:
        yield found


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "token"


def opened(server: S3Server, token_file: Path, *, bucket: str | None = None) -> BlobStore:
    """A bucket for who has the token; where the storage is away, it is asked for a minute."""
    settings = server.location("", bucket=bucket or server.bucket)
    identity = WebIdentity(role=ROLE, token_file=token_file, endpoint=server.endpoint)
    return BlobStore.open(
        StorageLocation.from_json(json.dumps(settings)),
        Credentials(identity=identity),
        retry=RetryPolicy(elapsed=60),
    )


def refusal(store: BlobStore, caplog: pytest.LogCaptureFixture) -> StorageRefusedError:
    """Why a write is refused; it must not be tried again."""
    with pytest.raises(StorageRefusedError) as caught:
        store.put("v1/x", b"x")
    assert "Trying again" not in caplog.text
    return caught.value


def test_a_good_token_opens_the_bucket(
    server: S3Server, issuer: TokenIssuer, token_file: Path
) -> None:
    token_file.write_text(issuer.token())
    store = opened(server, token_file)
    store.put("v1/x", b"x")
    assert bytes(store.get("v1/x")) == b"x"


@pytest.mark.parametrize("what", ["signed by another key", "not signed", "audience", "account"])
def test_a_token_that_is_not_trusted_is_refused_at_once_with_the_remedy(
    server: S3Server,
    issuer: TokenIssuer,
    token_file: Path,
    caplog: pytest.LogCaptureFixture,
    what: str,
) -> None:
    tokens = {
        "signed by another key": issuer.token(key=new_key()),
        "not signed": issuer.token().rpartition(".")[0] + ".",
        "audience": issuer.token(aud=["another"]),
        "account": issuer.token(sub="system:serviceaccount:team-b:datasets"),
    }
    token_file.write_text(tokens[what])
    refused = refusal(opened(server, token_file), caplog)
    assert refused.reason == "IdentityRefused"
    assert "must trust this cluster's issuer, the service account and the audience" in str(refused)
    assert tokens[what] not in str(refused)


def test_a_token_that_has_ended_is_refused_and_the_renewed_one_is_taken(
    server: S3Server, issuer: TokenIssuer, token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token_file.write_text(issuer.token(age=4000))
    store = opened(server, token_file)
    refused = refusal(store, caplog)
    assert refused.reason == "IdentityExpired"
    assert f"{token_file} has ended" in str(refused)
    assert "synchronise the clocks" in str(refused)
    token_file.write_text(issuer.token())
    store.put("v1/x", b"x")
    assert bytes(store.get("v1/x")) == b"x"


def test_a_helper_with_a_forged_token_ends_at_once_and_says_why(
    server: S3Server, issuer: TokenIssuer, token_file: Path, tmp_path: Path
) -> None:
    token_file.write_text(issuer.token(key=new_key()))
    pod = Pod(root=tmp_path, location=server.location(""))
    pod.variables = {
        "AWS_ROLE_ARN": ROLE,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file),
        "AWS_ENDPOINT_URL_STS": server.endpoint,
    }
    done = pod.fetch({"path": str(tmp_path / "back"), "digest": "0" * 64})
    assert done.returncode == 77
    assert pod.message["reason"] == "IdentityRefused"
    assert "signature is invalid" in pod.message["error"]


def test_a_bucket_must_exist_for_a_web_identity(
    server: S3Server, issuer: TokenIssuer, token_file: Path
) -> None:
    token_file.write_text(issuer.token())
    with pytest.raises(StorageRefusedError, match="bucket does not exist: create it") as caught:
        opened(server, token_file, bucket="fresh").ensure_format()
    assert caught.value.reason == "BucketMissing"
