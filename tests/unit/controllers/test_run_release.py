"""When the finalizers of Pods come off: at a deletion at once, else when there is time for it."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from gradient_operator.controllers.run_release import PATIENCE, QUIET, RETRY, Releaser
from gradient_operator.controllers.services import NotLeading, PodIndex
from gradient_operator.kube.errors import ServerError
from tests.builders import make_pod

pytestmark = pytest.mark.looptime


class Scene:
    """A releaser beside other work, on the loop's clock."""

    def __init__(self):
        self.index = PodIndex()
        self.released = []
        self.active_at = float("-inf")
        self.always_busy = False
        self.leading = True
        self.problems = []
        self.releaser = Releaser(
            self.index,
            self._release,
            is_leader=lambda: self.leading,
            others=(self,),
            clock=lambda: asyncio.get_running_loop().time(),
        )

    async def _release(self, pod):
        if self.problems:
            raise self.problems.pop()
        self.released.append(pod.name)

    def quiet_for(self):
        return 0.0 if self.always_busy else asyncio.get_running_loop().time() - self.active_at

    def pod(self, name, **changes):
        pod = make_pod(name=name, uid=f"uid-{name}", held=True, **changes)
        self.index.update(None, pod)
        return pod

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.releaser.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def scene():
    return Scene()


async def test_a_pod_that_somebody_deletes_goes_at_once_however_busy(scene):
    scene.always_busy = True
    await scene.releaser.settle([scene.pod("a", deletion_at=5.0), scene.pod("b")])
    assert scene.released == ["a"]
    assert scene.releaser.waiting == 1


async def test_the_others_go_when_nothing_else_is_to_be_done(scene):
    async with scene.running():
        scene.active_at = asyncio.get_running_loop().time()
        await scene.releaser.settle([scene.pod("a"), scene.pod("b")])
        await asyncio.sleep(QUIET / 2)
        assert scene.released == []
        await asyncio.sleep(QUIET)
        assert scene.released == ["a", "b"]


async def test_work_that_never_ends_keeps_them_only_for_a_while(scene):
    scene.always_busy = True
    async with scene.running():
        await scene.releaser.settle([scene.pod(name) for name in "abcdefghi"])
        await asyncio.sleep(PATIENCE - 1)
        assert scene.released == []
        await asyncio.sleep(1 + QUIET)
        assert scene.released == list("abcdefghi")


async def test_a_pod_is_released_once_and_one_that_is_gone_not_at_all(scene):
    a, b = scene.pod("a"), scene.pod("b")
    await scene.releaser.settle([a, b])
    await scene.releaser.settle([a, b])
    scene.index.update(b, None)
    async with scene.running():
        await asyncio.sleep(QUIET)
        assert scene.released == ["a"]


async def test_a_pod_deleted_while_it_waits_goes_at_once_and_not_again(scene):
    scene.active_at = asyncio.get_running_loop().time()
    await scene.releaser.settle([scene.pod("a")])
    await scene.releaser.now([scene.pod("a", deletion_at=5.0)])
    async with scene.running():
        await asyncio.sleep(2 * QUIET)
    assert scene.released == ["a"]


async def test_what_failed_is_tried_again(scene):
    scene.problems = [ServerError("no")]
    await scene.releaser.settle([scene.pod("a")])
    async with scene.running():
        await asyncio.sleep(RETRY / 2)
        assert scene.released == []
        await asyncio.sleep(RETRY)
        assert scene.released == ["a"]


async def test_nothing_is_released_without_leadership(scene):
    await scene.releaser.settle([scene.pod("a")])
    scene.leading = False
    with pytest.raises(NotLeading):
        await scene.releaser.now([scene.pod("b")])
    async with scene.running() as task:
        with pytest.raises(NotLeading):
            await task
    assert scene.released == []
