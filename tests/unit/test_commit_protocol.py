"""A commit that dies at any call, or meets another writer at any call, always ends the same way."""

import copy
import itertools
from contextlib import suppress

import pytest

from gradient_operator.controllers.pinning import StartRefused, pin_inputs
from gradient_operator.dataset_versions import Content, commit
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS
from gradient_operator.workflow.references import DatasetReference, version_id
from tests.builders import make_workflow
from tests.unit.controllers.memory_api import Died, MemoryApi

FIRST, SECOND = "ab" * 32, "cd" * 32
MOST_CALLS = 40


class Stepping(MemoryApi):
    """Calls `interrupt` before and after each call takes effect; numbers count both."""

    def __init__(self):
        super().__init__()
        self.steps = 0
        self.interrupt = None
        self.serving = False

    async def _step(self):
        self.steps += 1
        if self.interrupt is not None:
            await self.interrupt(self.steps)


def _stepped(name):
    original = getattr(MemoryApi, name)

    async def call(self, *arguments, **options):
        if self.serving:  # what the server itself does is one step
            return await original(self, *arguments, **options)
        await self._step()
        self.serving = True
        try:
            result = await original(self, *arguments, **options)
        finally:
            self.serving = False
        await self._step()
        return result

    return call


for verb in ("get", "list_all", "create", "merge_patch"):
    setattr(Stepping, verb, _stepped(verb))


async def put(api, digest, *, run="run"):
    origin = {"run": run, "runUID": f"uid-of-{run}", "job": "j", "output": "o", "inputs": []}
    content = Content(digest=digest, bytes=7, files=2, origin=origin)
    return await commit(api, namespace="ns", dataset=DatasetReference("cats"), content=content)


def state(api):
    """What is there, without what depends on when it came."""
    dataset = copy.deepcopy(api.all(DATASETS)["cats"])
    latest = dataset["status"]["latest"]
    latest.pop("createdAt")
    versions = {name: item["spec"] for name, item in api.all(DATASET_VERSIONS).items()}
    return dataset["spec"], latest, versions


async def calls_of(work):
    """How many steps undisturbed work takes, and what it leaves."""
    api = Stepping()
    await work(api)
    assert 0 < api.steps < MOST_CALLS
    return api.steps, state(api)


def dies_at(number):
    async def interrupt(step):
        if step == number:
            raise Died

    return interrupt


async def test_a_further_version_takes_three_calls_however_many_there_are():
    api = Stepping()
    await put(api, FIRST)
    api.steps = 0
    await put(api, SECOND)
    assert api.steps == 2 * 3, "each has a step before it and one after it"


async def one(api):
    await put(api, FIRST)


async def second_after_first(api):
    await put(api, FIRST)
    await put(api, SECOND, run="later")


@pytest.mark.parametrize("work", [one, second_after_first])
async def test_a_death_at_any_call_and_then_any_other_ends_in_the_same_state(work):
    steps, wanted = await calls_of(work)
    for first, second in itertools.product(range(1, steps + 1), [None, 1, 3, 7, steps]):
        api = Stepping()
        for number in (first, second):
            if number is None:
                continue
            api.steps, api.interrupt = 0, dies_at(number)
            try:
                await work(api)
            except Died:
                continue
        api.interrupt = None
        await work(api)
        assert state(api) == wanted, f"died at {first}, then at {second}"
        writes = len(api.writes)
        await work(api)
        assert len(api.writes) == writes, "a repetition writes nothing"


@pytest.mark.parametrize("other", [FIRST, SECOND])
async def test_another_writer_at_any_call_loses_nothing(other):
    """Same content: one version. Other content: two, and the newest is one of them."""
    steps, _ = await calls_of(one)
    for number in range(1, steps + 1):
        api = Stepping()

        async def meet(step, api=api, number=number):
            if step == number:
                api.interrupt = None
                await put(api, other, run="other")

        api.interrupt = meet
        await put(api, FIRST)
        _, latest, versions = state(api)
        assert {spec["digest"] for spec in versions.values()} == {FIRST, other}
        assert latest["digest"] in {FIRST, other}, f"met at {number}"


async def test_two_deaths_of_two_writers_end_with_both_versions():
    steps, _ = await calls_of(one)
    for number in range(1, steps + 1):
        api = Stepping()
        for digest, run in ((FIRST, "a"), (SECOND, "b")):
            api.steps, api.interrupt = 0, dies_at(number)
            with suppress(Died):  # the second writer needs fewer calls
                await put(api, digest, run=run)
        api.interrupt = None
        for digest, run in ((SECOND, "b"), (FIRST, "a")):
            await put(api, digest, run=run)
        _, latest, versions = state(api)
        assert len(versions) == 2
        assert latest["digest"] in {FIRST, SECOND}


class TestPins:
    """A tag that moves while a run starts: the run has one version for it, everywhere."""

    def workflow(self):
        builder = make_workflow()
        for job in ("a", "b", "c"):
            builder.job(job).takes("data", {"type": "dataset", "with": {"ref": "cats:best"}})
        builder.takes("newest", {"type": "dataset", "with": {"ref": "cats"}})
        return builder.compile()

    async def cluster(self):
        api = Stepping()
        await put(api, FIRST)
        await put(api, SECOND)
        api.all(DATASETS)["cats"]["spec"]["tags"] = {"best": version_id(FIRST)}
        api.steps = 0
        return api

    async def test_all_jobs_see_one_version_whenever_the_tag_moves(self):
        seen = set()
        for number in range(1, MOST_CALLS):
            api = await self.cluster()

            async def move(step, api=api, number=number):
                if step == number:
                    tags = api.objects[DATASETS.plural, "ns", "cats"]["spec"]["tags"]
                    tags["best"] = version_id(SECOND)

            api.interrupt = move
            pins = await pin_inputs(api, self.workflow(), namespace="ns", provider=None, public={})
            assert pins.keys() == {"cats:best", "cats"}
            assert pins["cats:best"].version == version_id(pins["cats:best"].digest)
            assert pins["cats:best"].digest in {FIRST, SECOND}
            assert pins["cats"].digest == SECOND
            seen.add(pins["cats:best"].digest)
            if api.steps < number:
                break
        assert seen == {FIRST, SECOND}

    async def test_a_version_that_goes_while_the_run_starts_is_refused_or_pinned_whole(self):
        outcomes = set()
        for number in range(1, MOST_CALLS):
            api = await self.cluster()

            async def delete(step, api=api, number=number):
                if step == number:
                    name = f"cats-{version_id(FIRST)}"
                    del api.objects[DATASET_VERSIONS.plural, "ns", name]

            api.interrupt = delete
            try:
                pins = await pin_inputs(
                    api, self.workflow(), namespace="ns", provider=None, public={}
                )
                assert pins["cats:best"].digest == FIRST
                outcomes.add("pinned")
            except StartRefused as refused:
                outcomes.add(refused.reason)
            if api.steps < number:
                break
        assert outcomes == {"pinned", "VersionNotFound"}
