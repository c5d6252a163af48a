"""What the server in memory promises, asked of it and of the real one.

A subclass gives the fixtures `cluster` (a client) and `namespace` (an empty one), and `bind` (puts
a Pod on a node, as the scheduler does).
"""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from gradient_operator.kube.errors import AlreadyExists, Conflict, NotFound
from gradient_operator.kube.resources import PODS

FINALIZER = "gradient.run/result"


def pod(name: str = "a", **metadata: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "bash:5"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "test"}, **metadata},
        "spec": {
            "containers": [container],
            "terminationGracePeriodSeconds": 3600,
            "automountServiceAccountToken": False,
            "schedulerName": "nobody",  # the cluster's own would write to it at any time
        },
    }


class ServerBehaviour:
    async def make(self, cluster, namespace, **metadata):
        return await cluster.create(PODS, pod(**metadata), namespace=namespace)

    async def end(self, cluster, namespace, phase):
        status = {"phase": phase}
        await cluster.merge_patch(
            PODS, {"status": status}, name="a", namespace=namespace, subresource="status"
        )

    async def metadata(self, cluster, namespace):
        try:
            found = await cluster.get(PODS, name="a", namespace=namespace)
        except NotFound:
            return None
        return found["metadata"]

    async def delete(self, cluster, namespace, **how):
        await cluster.delete(PODS, name="a", namespace=namespace, **how)
        return await self.metadata(cluster, namespace)

    async def test_a_name_exists_once(self, cluster, namespace):
        await self.make(cluster, namespace)
        with pytest.raises(AlreadyExists):
            await self.make(cluster, namespace)

    async def test_a_pod_without_a_node_goes_at_once(self, cluster, namespace):
        await self.make(cluster, namespace)
        assert await self.delete(cluster, namespace, grace_seconds=60) is None

    async def test_a_finalizer_keeps_it_without_grace(self, cluster, namespace):
        await self.make(cluster, namespace, finalizers=[FINALIZER])
        kept = await self.delete(cluster, namespace)
        assert kept["deletionGracePeriodSeconds"] == 0
        body = {"metadata": {"uid": kept["uid"], "finalizers": None}}
        await cluster.merge_patch(PODS, body, name="a", namespace=namespace)
        assert await self.metadata(cluster, namespace) is None

    async def test_a_pod_on_a_node_has_its_grace_which_only_shrinks(self, cluster, namespace, bind):
        await self.make(cluster, namespace)
        await bind("a")
        graces = []
        for grace in (None, 60, 90, 30):
            kept = await self.delete(cluster, namespace, grace_seconds=grace)
            graces.append(kept["deletionGracePeriodSeconds"])
        assert graces == [3600, 60, 60, 30]
        assert await self.delete(cluster, namespace, grace_seconds=0) is None

    @pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
    async def test_a_pod_that_has_ended_goes_at_once(self, cluster, namespace, bind, phase):
        await self.make(cluster, namespace)
        await bind("a")
        await self.end(cluster, namespace, phase)
        assert await self.delete(cluster, namespace) is None

    async def test_the_end_of_the_finalizer_does_not_shorten_the_grace(
        self, cluster, namespace, bind
    ):
        await self.make(cluster, namespace, finalizers=[FINALIZER])
        await bind("a")
        await self.delete(cluster, namespace)
        body = {"metadata": {"finalizers": None}}
        await cluster.merge_patch(PODS, body, name="a", namespace=namespace)
        assert (await self.metadata(cluster, namespace))["deletionGracePeriodSeconds"] == 3600
        await self.delete(cluster, namespace, grace_seconds=0)

    async def test_status_and_the_rest_are_written_apart(self, cluster, namespace):
        await self.make(cluster, namespace)
        both = {"metadata": {"labels": {"app": "other"}}, "status": {"reason": "Because"}}
        there = {"name": "a", "namespace": namespace}
        written = await cluster.merge_patch(PODS, both, **there)
        assert written["metadata"]["labels"] == {"app": "other"}
        assert written["status"].get("reason") is None
        both["metadata"]["labels"]["app"] = "third"
        written = await cluster.merge_patch(PODS, both, **there, subresource="status")
        assert written["status"]["reason"] == "Because"

    async def test_a_patch_that_changes_nothing_makes_no_version(self, cluster, namespace, bind):
        await self.make(cluster, namespace)
        await bind("a")
        made = await self.metadata(cluster, namespace)
        body = {"metadata": {"uid": made["uid"], "labels": {"app": "test"}}}
        same = await cluster.merge_patch(PODS, body, name="a", namespace=namespace)
        assert same["metadata"]["resourceVersion"] == made["resourceVersion"]

    async def test_another_uid_or_version_is_a_conflict(self, cluster, namespace):
        made = await self.make(cluster, namespace)
        version = made["metadata"]["resourceVersion"]
        there = {"name": "a", "namespace": namespace}
        await cluster.merge_patch(PODS, {"metadata": {"labels": {"x": "1"}}}, **there)
        for metadata in ({"uid": "another"}, {"resourceVersion": version}):
            with pytest.raises(Conflict):
                await cluster.merge_patch(PODS, {"metadata": metadata}, **there)
        with pytest.raises(Conflict):
            await self.delete(cluster, namespace, uid="another")

    async def test_lists_are_selected_by_labels_and_fields(self, cluster, namespace):
        for name, phase in (("a", "Succeeded"), ("b", "Running")):
            await cluster.create(
                PODS, pod(name, labels={"app": name, "all": ""}), namespace=namespace
            )
            await cluster.merge_patch(
                PODS,
                {"status": {"phase": phase}},
                name=name,
                namespace=namespace,
                subresource="status",
            )

        async def names(**how):
            listed = await cluster.list_all(PODS, namespace=namespace, **how)
            return [item["metadata"]["name"] for item in listed.items]

        assert await names(label_selector="app=a") == ["a"]
        assert await names(label_selector="all") == ["a", "b"]
        assert await names(label_selector="all,app=b") == ["b"]
        assert await names(field_selector="status.phase!=Succeeded") == ["b"]
        assert await names(field_selector="metadata.name=a") == ["a"]

    async def test_a_watch_goes_on_from_a_version(self, cluster, namespace):
        made = await self.make(cluster, namespace)
        there = {"name": "a", "namespace": namespace}
        for app in ("other", "test"):
            await cluster.merge_patch(PODS, {"metadata": {"labels": {"app": app}}}, **there)
        await cluster.delete(PODS, **there)
        events = cluster.watch(
            PODS,
            namespace=namespace,
            label_selector="app=test",
            resource_version=made["metadata"]["resourceVersion"],
        )
        kinds = []
        async with asyncio.timeout(30), aclosing(events):
            async for event in events:
                if event["type"] in ("ADDED", "DELETED"):  # the scheduler, too, writes
                    kinds.append(event["type"])
                if len(kinds) == 3:
                    break
        assert kinds == ["DELETED", "ADDED", "DELETED"]
