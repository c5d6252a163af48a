"""What the server in memory promises, asked of the real one; and what only the real one can say."""

import asyncio
import json
import uuid

import pytest
import yaml

from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import Forbidden, Gone, Invalid, NotFound
from gradient_operator.kube.recorder import EventRecorder, ObjectReference
from gradient_operator.kube.resources import (
    CLAIMS,
    CRDS,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    STORAGE_CLASSES,
    Resource,
)
from gradient_operator.kube.transport import Call
from tests.unit.kube.behaviours import (
    CONFIG_MAPS,
    ClientBehaviour,
    ElectorBehaviour,
    Following,
    ReflectorBehaviour,
    body,
)
from tests.waiting import eventually

ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")


class TestClient(ClientBehaviour):
    pass


class TestReflector(ReflectorBehaviour):
    pass


class TestElector(ElectorBehaviour):
    pass


@pytest.mark.parametrize(
    "resource",
    [CLAIMS, CRDS, EVENTS, LEASES, NAMESPACES, NODES, PODS, SECRETS, STORAGE_CLASSES],
    ids=lambda resource: resource.plural,
)
async def test_the_addresses_of_the_kinds_are_right(cluster, resource):
    listed = await cluster.list_all(resource)
    assert listed.resource_version.isdecimal()
    if listed.items:
        found = await cluster.get(
            resource,
            name=listed.items[0]["metadata"]["name"],
            namespace=listed.items[0]["metadata"].get("namespace"),
        )
        assert (found["apiVersion"], found["kind"]) == (resource.api_version, resource.kind)


async def test_the_version_can_be_read(cluster):
    assert json.loads(await cluster.raw_get("/version"))["major"] == "1"


async def test_an_apply_creates_and_then_changes(cluster, namespace):
    for value in ("1", "2"):
        applied = await cluster.apply(
            CONFIG_MAPS,
            {"data": {"value": value}},
            name="a",
            namespace=namespace,
            field_manager="gradient-tests",
        )
        assert applied["data"] == {"value": value}


async def test_a_wrong_object_is_refused_with_the_field(cluster, namespace):
    with pytest.raises(Invalid) as caught:
        await cluster.create(CONFIG_MAPS, body("No_Name"), namespace=namespace)
    assert caught.value.status == 422
    assert caught.value.details["causes"][0]["field"] == "metadata.name"


async def test_an_unknown_kind_is_not_found(cluster):
    with pytest.raises(NotFound):
        await cluster.list_all(Resource("example.com", "v1", "nothings", "Nothing"))


async def test_a_version_before_the_compaction_is_gone(cluster, namespace):
    with pytest.raises(Gone):
        async for _ in cluster.watch(CONFIG_MAPS, namespace=namespace, resource_version="1"):
            pass


async def test_a_watch_ends_when_it_was_asked_to_and_says_where(cluster, namespace):
    async def ask():
        """The server promises bookmarks for most watches, not for each."""
        version = (await cluster.list_all(CONFIG_MAPS, namespace=namespace)).resource_version
        events = [
            event
            async for event in cluster.watch(
                CONFIG_MAPS, namespace=namespace, resource_version=version, timeout_seconds=4
            )
        ]
        assert "BOOKMARK" in {event["type"] for event in events}

    await eventually(ask)


async def test_a_status_is_written_beside_the_object(cluster, namespace):
    claim = {
        "metadata": {"name": "c"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "none",
        },
    }
    await cluster.create(CLAIMS, claim, namespace=namespace)
    changed = await cluster.merge_patch(
        CLAIMS,
        {"status": {"phase": "Lost"}},
        name="c",
        namespace=namespace,
        subresource="status",
    )
    assert changed["status"]["phase"] == "Lost"


async def test_a_watch_survives_that_everything_it_knew_was_replaced(cluster, namespace):
    """A burst that is larger than one read of the connection arrives whole and in order."""
    filler = "x" * 2_000
    async with Following(cluster, namespace) as following:
        await following.reflector.synced.wait()
        names = [f"n{number:03}" for number in range(200)]
        await asyncio.gather(
            *(
                cluster.create(CONFIG_MAPS, body(name, filler=filler), namespace=namespace)
                for name in names
            )
        )
        await following.until(lambda: sorted(following.values) == names)
        await asyncio.gather(
            *(cluster.delete(CONFIG_MAPS, name=name, namespace=namespace) for name in names)
        )
        await following.shows()
    assert len(following.changes) == 400


async def test_events_are_readable_and_repetitions_become_a_series(cluster, namespace):
    made = await cluster.create(CONFIG_MAPS, body("a"), namespace=namespace)
    recorder = EventRecorder(
        cluster, component="gradient.run/operator", instance=f"test-{uuid.uuid4().hex[:8]}"
    )
    about = ObjectReference("v1", "ConfigMap", "a", namespace, made["metadata"]["uid"])
    writing = asyncio.create_task(recorder.run())
    recorder.record(about, type="Warning", reason="JobFailed", note="job train: exit code 1")
    events = cluster.watch(EVENTS, namespace=namespace, resource_version="0")
    added = await anext(event["object"] async for event in events if event["type"] == "ADDED")
    assert added["note"] == "job train: exit code 1"
    assert added["regarding"]["uid"] == about.uid
    for _ in range(3):
        recorder.record(about, type="Warning", reason="JobFailed", note="job train: exit code 1")
    changed = await anext(event["object"] async for event in events if event["type"] == "MODIFIED")
    assert changed["metadata"]["name"] == added["metadata"]["name"]
    assert changed["series"]["count"] == 4
    await events.aclose()
    writing.cancel()


async def test_an_account_without_permission_is_forbidden(kubeconfig, cluster, namespace, tmp_path):
    """As the operator's own account is if a rule is missing; with a token, as it has one."""
    await cluster.create(ACCOUNTS, {"metadata": {"name": "nobody"}}, namespace=namespace)
    request = Call(
        verb="create",
        method="POST",
        path=ACCOUNTS.path(namespace, "nobody", "token"),
        body=b'{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}',
    )
    token = json.loads(await cluster._transport.request(request))["status"]["token"]
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    connection = await KubeClient.connect(tmp_path / "config", user_agent="gradient-tests")
    async with connection as nobody:
        with pytest.raises(Forbidden, match="cannot list resource"):
            await nobody.list_all(SECRETS, namespace=namespace)
