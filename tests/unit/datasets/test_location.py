from __future__ import annotations

import json

import pytest

from gradient_operator.datasets.location import StorageLocation


def test_location_survives_its_own_json() -> None:
    location = StorageLocation(
        endpoint="http://s3:8333", bucket="b", prefix="/a/b/", path_style=False, allow_http=True
    )

    assert location.prefix == "a/b"
    assert StorageLocation.from_json(location.to_json()) == location


def test_location_ignores_keys_it_does_not_know() -> None:
    location = StorageLocation.from_json('{"bucket": "b", "flavour": 3, "region": null}')

    assert location == StorageLocation(bucket="b")


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        ("nonsense", "not JSON"),
        ("[]", "JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"bucket": 3}', "bucket"),
        ('{"bucket": "b", "allowHttp": "yes"}', "allowHttp"),
        ("{}", "bucket"),
        ('{"bucket": "b", "endpoint": "http://s3"}', "allowHttp"),
        ('{"bucket": "b", "endpoint": "ftp://s3"}', "https"),
        ('{"bucket": "b", "prefix": "a/../b"}', "prefix"),
    ],
)
def test_location_refuses_what_it_cannot_use(raw: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        StorageLocation.from_json(raw)


def test_location_names_itself_for_messages() -> None:
    assert "bucket 'b' at https://s3" in str(StorageLocation(endpoint="https://s3", bucket="b"))
    assert "folder /data" in str(StorageLocation(endpoint="file:///data"))
    assert json.loads(StorageLocation(bucket="b").to_json())["pathStyle"] is True
