"""What opens the bucket of a run: a Secret that is handed out, or an identity that needs none."""

from gradient_operator.api import names
from gradient_operator.api.datasets import StorageProviderSpec
from gradient_operator.config import DefaultStorage, OperatorConfig
from gradient_operator.controllers.services import Definitions
from gradient_operator.controllers.storage import SecretHandout, storage_of_run
from gradient_operator.kube.resources import SECRETS
from tests.unit.controllers.memory_api import MemoryApi

IDENTITY = {"roleArn": "arn:aws:iam::123456789012:role/data"}


def default(tmp_path, **changes):
    for key in ("accessKeyId", "secretAccessKey"):
        (tmp_path / key).write_text("x")
    storage = {
        "endpoint": "http://s3:8333",
        "bucket": "cats",
        "credentialsDirectory": tmp_path,
        **changes,
    }
    return DefaultStorage.model_validate(storage)


def of_run(storage, provider=None, **providers):
    definitions = Definitions(providers={("ns", name): p for name, p in providers.items()})
    config = OperatorConfig(storage=storage)
    return storage_of_run(config, definitions, namespace="ns", provider=provider)


async def test_keys_of_the_default_provider_are_handed_to_a_namespace(tmp_path):
    api, storage = MemoryApi(), default(tmp_path)
    await SecretHandout(api, storage).ensure("ns")
    assert list(api.all(SECRETS)) == [names.SECRET_OF_STORAGE]
    assert of_run(storage).secret == names.SECRET_OF_STORAGE


async def test_an_identity_of_the_default_provider_needs_no_secret(tmp_path):
    api, storage = MemoryApi(), default(tmp_path, webIdentity=IDENTITY)
    await SecretHandout(api, storage).ensure("ns")
    assert api.all(SECRETS) == {}
    found = of_run(storage)
    assert found.secret is None
    assert found.identity is not None
    assert found.identity.audience == "sts.amazonaws.com"


def test_a_provider_of_the_namespace_says_itself_what_opens_it(tmp_path):
    spec = {"endpoint": "http://s3:8333", "bucket": "own"}
    ours = StorageProviderSpec.model_validate(spec | {"credentialsSecret": "keys"})
    cloud = StorageProviderSpec.model_validate(spec | {"webIdentity": IDENTITY})
    storage = default(tmp_path)
    assert of_run(storage, "ours", ours=ours).secret == "keys"
    found = of_run(storage, "cloud", cloud=cloud)
    assert (found.secret, found.identity) == (None, cloud.web_identity)
