"""What is told of an upload, so that it is told once and not forgotten."""

from types import SimpleNamespace

import pytest

from gradient_operator.controllers.run_outputs import OutputRecorder
from gradient_operator.datasets.errors import StorageUnavailableError
from gradient_operator.kube.errors import KubeError


class Store:
    """A bucket that is away at first."""

    def __init__(self):
        self.away = True
        self.marks = []

    async def abort(self, pod_uid):
        if self.away:
            raise StorageUnavailableError("It does not answer.")
        self.marks.append(pod_uid)


async def abort(store, state):
    await OutputRecorder(services=None, store=store).abort(state, "uid-1")


async def test_an_upload_is_told_to_stop_when_the_storage_is_back_and_only_once():
    store, state = Store(), SimpleNamespace(provider=None, aborted=set())
    with pytest.raises(KubeError, match="cannot tell an uploader to stop"):
        await abort(store, state)
    store.away = False
    await abort(store, state)
    await abort(store, state)
    assert store.marks == ["uid-1"]


async def test_the_bucket_of_a_namespace_is_left_alone():
    store, state = Store(), SimpleNamespace(provider="ours", aborted=set())
    await abort(store, state)
    assert store.marks == []
