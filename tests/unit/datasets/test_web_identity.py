from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets import web_identity
from gradient_operator.datasets.credentials import WebIdentity
from gradient_operator.datasets.errors import StorageRefusedError, StorageUnavailableError
from gradient_operator.datasets.web_identity import WebIdentityKeys
from tests.token_service import TokenService

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def service() -> Iterator[TokenService]:
    with TokenService() as running:
        yield running


@pytest.fixture
def identity(service: TokenService, tmp_path: Path) -> WebIdentity:
    (tmp_path / "token").write_text("token\n")
    return WebIdentity(
        role=service.role,
        token_file=tmp_path / "token",
        endpoint=service.url,
        session="team a/run",
    )


def durations(service: TokenService) -> list[int]:
    return [int(form["DurationSeconds"]) for form in service.asked]


def test_a_token_is_traded_for_keys(service: TokenService, identity: WebIdentity) -> None:
    service.session = "session"
    keys = WebIdentityKeys(identity)()
    assert (keys["access_key_id"], keys["secret_access_key"]) == ("access", "secret")
    assert keys.get("token") == "session"
    assert service.asked[-1]["RoleSessionName"] == "team-a-run"


def test_the_longest_time_that_the_role_allows_is_asked_for(
    service: TokenService, identity: WebIdentity
) -> None:
    service.longest = 14_400
    keys = WebIdentityKeys(identity)
    keys()
    assert durations(service) == [43_200, 28_800, 14_400]
    keys.renew()
    assert durations(service)[3:] == [14_400]


def test_keys_are_kept_until_they_are_about_to_end(
    service: TokenService, identity: WebIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.longest = 43_200
    keys = WebIdentityKeys(identity)
    first = keys()
    keys()
    assert len(service.asked) == 1
    ends = first["expires_at"]
    assert ends is not None
    almost = ends - web_identity.RENEW_BEFORE / 2
    monkeypatch.setattr(web_identity, "_now", lambda: almost)
    keys()
    assert len(service.asked) == 2


def test_after_a_renewal_the_token_is_not_needed_any_more(
    service: TokenService, identity: WebIdentity
) -> None:
    keys = WebIdentityKeys(identity)
    keys()
    keys.renew()
    asked = len(service.asked)
    service.tokens.clear()
    identity.token_file.unlink()
    keys()
    assert len(service.asked) == asked


def test_who_is_not_trusted_is_told_why(service: TokenService, identity: WebIdentity) -> None:
    service.tokens.clear()
    keys = WebIdentityKeys(identity)
    with pytest.raises(StorageRefusedError, match=r"InvalidIdentityToken: not <ours>.*audience"):
        keys()
    assert isinstance(keys.failure, StorageRefusedError)
    assert "token\n" not in str(keys.failure)


def test_a_token_that_has_ended_is_named_and_read_anew(
    service: TokenService, identity: WebIdentity
) -> None:
    service.tokens = {"renewed"}
    service.refusal = ("ExpiredTokenException", "token is expired")
    keys = WebIdentityKeys(identity)
    with pytest.raises(StorageRefusedError, match=f"{identity.token_file} has ended") as caught:
        keys()
    assert caught.value.reason == "IdentityExpired"
    identity.token_file.write_text("renewed")
    assert keys()["access_key_id"] == "access"


def test_a_service_that_cannot_ask_the_issuer_is_in_trouble(
    service: TokenService, identity: WebIdentity
) -> None:
    service.tokens.clear()
    message = "Couldn't retrieve verification key from your identity provider"
    service.refusal = ("InvalidIdentityToken", message)
    with pytest.raises(StorageUnavailableError, match="in trouble"):
        WebIdentityKeys(identity)()


def test_a_service_in_trouble_is_asked_again_later(
    service: TokenService, identity: WebIdentity
) -> None:
    service.status = 503
    keys = WebIdentityKeys(identity)
    with pytest.raises(StorageUnavailableError):
        keys()
    service.status = 200
    keys()
    assert keys.failure is None


def test_what_is_no_token_service_is_refused(service: TokenService, identity: WebIdentity) -> None:
    service.access = ""
    with pytest.raises(StorageRefusedError, match="is no token service"):
        WebIdentityKeys(identity)()


def test_a_token_that_is_not_there_is_named(identity: WebIdentity) -> None:
    identity.token_file.unlink()
    with pytest.raises(StorageRefusedError, match=r"token.*cannot be read"):
        WebIdentityKeys(identity)()


def test_the_variables_of_aws_say_who_we_are(tmp_path: Path) -> None:
    variables = {
        "AWS_ROLE_ARN": "r",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/t",
        "AWS_REGION": "eu-west-1",
    }
    found = WebIdentity.of_environment(variables)
    assert found is not None
    assert found.endpoint == "https://sts.eu-west-1.amazonaws.com"
    assert WebIdentity.of_environment({"AWS_ROLE_ARN": "r"}) is None
    other = WebIdentity.of_environment(variables | {"AWS_ENDPOINT_URL_STS": "http://sts"})
    assert other is not None
    assert other.endpoint == "http://sts"
