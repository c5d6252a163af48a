"""What reflector and elector must do on every API server, the real one and the one in memory.

A subclass gives the fixtures `cluster` (a client) and `namespace` (an empty one). What needs a
fault is tested on the server in memory alone.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import pytest

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.elector import ElectionTimes, LeadershipLost, LeaseElector
from gradient_operator.kube.errors import AlreadyExists, Conflict, NotFound
from gradient_operator.kube.reflector import Reflector
from gradient_operator.kube.resources import LEASES, Resource

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
LABELS = {"app": "test"}
QUICK = ElectionTimes(duration=3.0, renew_deadline=2.4, retry_period=0.1)
"""Short, and yet longer than a busy machine keeps a process waiting."""


@dataclass(frozen=True, slots=True)
class Slim:
    uid: str
    namespace: str
    name: str
    value: str
    resource_version: str = field(compare=False)


def project(item: dict[str, Any]) -> Slim:
    metadata = item["metadata"]
    value = item.get("data", {}).get("value", "")
    if value == "strange":
        raise ValueError(value)
    return Slim(
        metadata["uid"],
        metadata["namespace"],
        metadata["name"],
        value,
        metadata["resourceVersion"],
    )


def body(name: str, value: str = "", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": LABELS},
        "data": {"value": value, **data},
    }


class Following:
    """A reflector that runs, what it told, and a way to wait for what it shall tell."""

    def __init__(self, client: KubeClient, namespace: str | None, **options: Any) -> None:
        self.changes: list[tuple[Slim | None, Slim | None]] = []
        self._changed = asyncio.Event()
        self.reflector: Reflector[Slim] = Reflector(
            client,
            CONFIG_MAPS,
            namespace=namespace,
            label_selector="app=test",
            project=project,
            on_change=self._on_change,
            **options,
        )

    def _on_change(self, old: Slim | None, new: Slim | None) -> None:
        self.changes.append((old, new))
        self._changed.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.reflector.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    @property
    def values(self) -> dict[str, str]:
        return {name: item.value for (_, name), item in self.reflector.items.items()}

    @property
    def told(self) -> list[tuple[str | None, str | None]]:
        """The changes as pairs of values."""
        return [(old and old.value, new and new.value) for old, new in self.changes]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def shows(self, **values: str) -> None:
        await self.until(lambda: self.values == values)


class ReflectorBehaviour:
    async def test_what_exists_is_listed_and_told_once(self, cluster, namespace):
        await cluster.create(CONFIG_MAPS, body("a", "1"), namespace=namespace)
        await cluster.create(CONFIG_MAPS, body("b", "2"), namespace=namespace)
        async with Following(cluster, namespace) as following:
            await following.reflector.synced.wait()
            assert following.values == {"a": "1", "b": "2"}
            assert following.told == [(None, "1"), (None, "2")]

    async def test_a_list_longer_than_a_page_is_complete(self, cluster, namespace):
        names = [f"n{number:03}" for number in range(40)]
        await asyncio.gather(
            *(cluster.create(CONFIG_MAPS, body(name), namespace=namespace) for name in names)
        )
        pages = cluster.list_pages(
            CONFIG_MAPS, namespace=namespace, label_selector="app=test", limit=15
        )
        sizes = [len(page.items) async for page in pages]
        assert sizes == [15, 15, 10]

    async def test_what_others_do_is_seen(self, cluster, namespace):
        async with Following(cluster, namespace) as following:
            await following.reflector.synced.wait()
            await cluster.create(CONFIG_MAPS, body("a", "1"), namespace=namespace)
            await following.shows(a="1")
            await cluster.merge_patch(
                CONFIG_MAPS, {"data": {"value": "2"}}, name="a", namespace=namespace
            )
            await following.shows(a="2")
            await cluster.delete(CONFIG_MAPS, name="a", namespace=namespace)
            await following.shows()
            assert following.told == [(None, "1"), ("1", "2"), ("2", None)]

    async def test_a_change_of_what_is_not_kept_is_not_told(self, cluster, namespace):
        await cluster.create(CONFIG_MAPS, body("a", "1"), namespace=namespace)
        async with Following(cluster, namespace) as following:
            await following.shows(a="1")
            for value in "xyz":
                await cluster.merge_patch(
                    CONFIG_MAPS, {"data": {"other": value}}, name="a", namespace=namespace
                )
            await cluster.create(CONFIG_MAPS, body("end"), namespace=namespace)
            await following.until(lambda: "end" in following.values)
            assert following.told == [(None, "1"), (None, "")]

    async def test_an_object_is_gone_while_it_does_not_have_its_label(self, cluster, namespace):
        await cluster.create(CONFIG_MAPS, body("a", "1"), namespace=namespace)
        async with Following(cluster, namespace) as following:
            await following.shows(a="1")
            for label, values in (("other", {}), ("test", {"a": "1"})):
                await cluster.merge_patch(
                    CONFIG_MAPS,
                    {"metadata": {"labels": {"app": label}}},
                    name="a",
                    namespace=namespace,
                )
                await following.shows(**values)

    async def test_an_assumed_object_is_shown_at_once_and_told_once(self, cluster, namespace):
        async with Following(cluster, namespace) as following:
            await following.reflector.synced.wait()
            created = project(
                await cluster.create(CONFIG_MAPS, body("a", "1"), namespace=namespace)
            )
            following.reflector.assume(created)
            assert following.values == {"a": "1"}
            await cluster.create(CONFIG_MAPS, body("end"), namespace=namespace)
            await following.until(lambda: "end" in following.values)
            assert following.told == [(None, "1"), (None, "")]

    async def test_an_answer_that_is_late_makes_no_ghost(self, cluster, namespace):
        async with Following(cluster, namespace) as following:
            await following.reflector.synced.wait()
            created = await cluster.create(CONFIG_MAPS, body("a", "1"), namespace=namespace)
            await following.shows(a="1")
            await cluster.delete(CONFIG_MAPS, name="a", namespace=namespace)
            await following.shows()
            following.reflector.assume(project(created))
            assert following.values == {}

    async def test_an_assumed_deletion_hides_until_the_watch_confirms_it(self, cluster, namespace):
        created = await cluster.create(CONFIG_MAPS, body("a", "1"), namespace=namespace)
        async with Following(cluster, namespace) as following:
            await following.shows(a="1")
            await cluster.delete(CONFIG_MAPS, name="a", namespace=namespace)
            following.reflector.assume_deleted(project(created))
            assert following.values == {}
            await cluster.create(CONFIG_MAPS, body("a", "2"), namespace=namespace)
            await following.shows(a="2")
            assert following.told == [(None, "1"), ("1", None), (None, "2")]

    async def test_a_namesake_is_another_object(self, cluster, namespace):
        await cluster.create(CONFIG_MAPS, body("a", "1"), namespace=namespace)
        async with Following(cluster, namespace) as following:
            await following.shows(a="1")
            await cluster.delete(CONFIG_MAPS, name="a", namespace=namespace)
            created = project(
                await cluster.create(CONFIG_MAPS, body("a", "1"), namespace=namespace)
            )
            following.reflector.assume(created)
            await following.until(lambda: following.changes[-1][1] == created)
            assert following.told == [(None, "1"), ("1", None), (None, "1")]

    async def test_all_namespaces_can_be_followed(self, cluster, namespace):
        await cluster.create(CONFIG_MAPS, body("a", "1"), namespace=namespace)
        async with Following(cluster, None) as following:
            await following.until(lambda: (namespace, "a") in following.reflector.items)


class ClientBehaviour:
    async def test_creating_twice_is_told_apart_from_a_stale_write(self, cluster, namespace):
        created = await cluster.create(CONFIG_MAPS, body("a"), namespace=namespace)
        with pytest.raises(AlreadyExists) as caught:
            await cluster.create(CONFIG_MAPS, body("a"), namespace=namespace)
        assert caught.value.status == 409
        await cluster.merge_patch(
            CONFIG_MAPS, {"data": {"value": "2"}}, name="a", namespace=namespace
        )
        stale = {"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}}
        with pytest.raises(Conflict) as refused:
            await cluster.merge_patch(
                CONFIG_MAPS, {**stale, "data": {"value": "3"}}, name="a", namespace=namespace
            )
        assert type(refused.value) is Conflict
        with pytest.raises(Conflict):
            await cluster.delete(CONFIG_MAPS, name="a", namespace=namespace, uid="another")
        await cluster.delete(
            CONFIG_MAPS, name="a", namespace=namespace, uid=created["metadata"]["uid"]
        )
        with pytest.raises(NotFound):
            await cluster.get(CONFIG_MAPS, name="a", namespace=namespace)


def elector(
    client: KubeClient, namespace: str, identity: str, times: ElectionTimes = QUICK
) -> LeaseElector:
    return LeaseElector(client, namespace=namespace, name="lock", identity=identity, times=times)


class ElectorBehaviour:
    async def test_the_first_leads_and_the_second_waits_until_it_is_released(
        self, cluster, namespace
    ):
        first, second = (elector(cluster, namespace, name) for name in ("first", "second"))
        await first.acquire()
        waiting = asyncio.create_task(second.acquire())
        holding = asyncio.create_task(first.hold())
        done, _ = await asyncio.wait({waiting, holding}, timeout=QUICK.duration * 2)
        assert not done
        assert first.is_leader()
        assert not second.is_leader()

        holding.cancel()
        await first.release()
        assert not first.is_leader()
        await waiting
        assert second.is_leader()
        lease = await cluster.get(LEASES, name="lock", namespace=namespace)
        assert lease["spec"]["holderIdentity"] == "second"
        assert lease["spec"]["leaseTransitions"] == 1

    async def test_a_lease_that_nobody_renews_is_taken(self, cluster, namespace):
        first, second = (elector(cluster, namespace, name) for name in ("first", "second"))
        await first.acquire()
        await second.acquire()
        assert second.is_leader()
        assert not first.is_leader()

    async def test_a_deposed_leader_is_told(self, cluster, namespace):
        first = elector(cluster, namespace, "first")
        await first.acquire()
        holding = asyncio.create_task(first.hold())
        await cluster.merge_patch(
            LEASES, {"spec": {"holderIdentity": "usurper"}}, name="lock", namespace=namespace
        )
        with pytest.raises(LeadershipLost, match="usurper"):
            await holding
        assert not first.is_leader()

    async def test_a_deleted_lease_is_made_again(self, cluster, namespace):
        first = elector(cluster, namespace, "first")
        await first.acquire()
        await cluster.delete(LEASES, name="lock", namespace=namespace)
        holding = asyncio.create_task(first.hold())
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(NotFound):
                    lease = await cluster.get(LEASES, name="lock", namespace=namespace)
                    break
        assert lease["spec"]["holderIdentity"] == "first"
        assert not holding.done()
        holding.cancel()

    async def test_never_two_lead_at_once(self, cluster, namespace):
        times = replace(QUICK, duration=0.9, renew_deadline=0.4)
        electors = [elector(cluster, namespace, f"e{number}", times) for number in range(4)]
        terms: list[LeaseElector] = []
        stop = asyncio.Event()

        async def candidate(mine: LeaseElector) -> None:
            while not stop.is_set():
                await mine.acquire()
                assert [other for other in electors if other.is_leader()] == [mine]
                terms.append(mine)
                if len(terms) >= 6:
                    stop.set()
                if len(terms) % 2:
                    await mine.release()  # the others' turn; every second one just dies

        async with asyncio.timeout(60):
            candidates = [asyncio.create_task(candidate(mine)) for mine in electors]
            await stop.wait()
        for task in candidates:
            task.cancel()
        results = await asyncio.gather(*candidates, return_exceptions=True)
        assert not [result for result in results if isinstance(result, AssertionError)]
