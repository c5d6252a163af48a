"""What the tests that live in a world need."""

import gc

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The keys of the default provider."""
    gc.collect()
    gc.freeze()  # a world makes much rubbish, and nothing that was there before is any
    made = tmp_path_factory.mktemp("credentials")
    for key in ("accessKeyId", "secretAccessKey"):
        (made / key).write_text("made up")
    yield made
    gc.unfreeze()
