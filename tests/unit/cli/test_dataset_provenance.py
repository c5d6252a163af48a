"""`gradient dataset provenance`: how a version was made, and whether that can be trusted."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gradient_operator.dataset_versions import version_makings
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.signing import Signer
from gradient_operator.datasets.statements import write_statement
from gradient_operator.datasets.store import BlobStore
from gradient_operator.kube.resources import DATASET_VERSIONS
from tests.unit.cli import test_dataset
from tests.unit.datasets.test_signing import private, public

bucket, source, stored = test_dataset.bucket, test_dataset.source, test_dataset.stored
KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


@pytest.fixture
def tell(client, bucket, stored):
    """Write the statement of `Digits`, as the operator does."""

    def write(key=None, **origin):
        (item,) = client.of(DATASET_VERSIONS).values()
        if origin:
            item["spec"]["origin"] = origin
        store = BlobStore.open(StorageLocation(endpoint=bucket.as_uri(), prefix="p"))
        signer = Signer.load(private(key)) if key else None
        return bucket / "p" / write_statement(store, version_makings(item)[0], signer)

    return write


@pytest.fixture
def key(tmp_path):
    def write(key):
        path = tmp_path / f"{id(key)}.pem"
        path.write_bytes(public(key))
        return ("--key", str(path))

    return write


def test_it_says_what_made_the_version(gradient, tell):
    tell(
        run="train-1",
        runUID="u",
        job="train",
        output="model",
        attempt=2,
        inputs=["team/raw:abcdefgh2345"],
        images={"main": f"bash@sha256:{'1' * 64}"},
        repository="https://github.com/x/y",
        revision="a" * 40,
    )
    code, out, err = gradient("dataset", "provenance", "Digits")
    assert (code, err) == (0, "")
    assert "made by   run train-1, job train, output model, attempt 2" in out
    assert "from      team/raw:abcdefgh2345" in out
    assert f"from      main  oci://bash@sha256:{'1' * 64}" in out
    assert f"from      source  git+https://github.com/x/y@{'a' * 40}" in out
    assert "signed" not in out


def test_what_was_put_by_hand_is_told_too(gradient, tell):
    tell(KEY)
    code, out, _ = gradient("dataset", "provenance", "Digits:latest")
    assert code == 0
    assert "made by   gradient dataset put: no message" in out
    assert ", not verified" in out


def test_verified_is_what_a_given_key_has_signed(gradient, tell, key):
    tell(KEY)
    verify = ("dataset", "provenance", "Digits", "--verify")
    code, out, _ = gradient(*verify, *key(OTHER), *key(KEY))
    assert code == 0
    assert ", verified" in out
    code, out, err = gradient(*verify, *key(OTHER))
    assert code == 1
    assert "made by" not in out
    assert "not trusted" in err
    assert "Nothing about Digits:" in err


def test_a_tampered_statement_is_refused(gradient, tell, key):
    path = tell(KEY)
    envelope = json.loads(path.read_text())
    payload = envelope["payload"]
    envelope["payload"] = payload[:-8] + ("A" if payload[-8] != "A" else "B") + payload[-7:]
    path.write_text(json.dumps(envelope))
    code, out, err = gradient("dataset", "provenance", "Digits", "--verify", *key(KEY))
    assert code == 1
    assert "made by" not in out
    assert "was changed" in err


def test_programs_get_the_statements(gradient, tell, key):
    tell(KEY)
    arguments = ("dataset", "provenance", "Digits", "-o", "json", "--verify", *key(KEY))
    (found,) = json.loads(gradient(*arguments)[1])
    assert found["verified"] is True
    assert found["statement"]["predicateType"] == "https://slsa.dev/provenance/v1"


def test_text_of_others_does_no_harm(gradient, bucket, tell):
    path = tell()
    body = json.loads(path.read_text())
    build = body["predicate"]["buildDefinition"]
    build["externalParameters"] = {"run": "\x1b[31mred\nnext", "job": ["x"]}
    build["resolvedDependencies"] = "none"
    body["predicate"]["runDetails"] = 7
    path.write_text(json.dumps(body))
    code, out, _ = gradient("dataset", "provenance", "Digits")
    assert code == 0
    assert "\x1b" not in out
    assert "?[31mred" in out


def test_dead_ends_name_the_way_on(gradient, stored, key, tmp_path):
    code, _, err = gradient("dataset", "provenance", "Digits")
    assert code == 1
    assert "within seconds of a commit" in err
    for arguments in (("--verify",), key(KEY)):
        code, _, err = gradient("dataset", "provenance", "Digits", *arguments)
        assert code == 2
        assert "belong together" in err
    (tmp_path / "x.pem").write_text("none")
    arguments = ("--verify", "--key", str(tmp_path / "x.pem"))
    code, _, err = gradient("dataset", "provenance", "Digits", *arguments)
    assert code == 2
    assert "openssl pkey" in err
