import time

import pytest

from gradient_operator.kube.errors import Conflict, NotFound
from gradient_operator.kube.resources import RUNS
from gradient_operator.kube.statuses import latest, patch_status
from tests.world.line import Line
from tests.world.server import Address, Server

PLACE = Address("gradientruns", "ns", "r", "")


@pytest.fixture
def server():
    return Server(time.time)


@pytest.fixture
async def client(server):
    return Line(server, by="test").client()


def make(server):
    return server.create(PLACE, {"metadata": {"name": "r"}, "spec": {}})["metadata"]


async def write(client, metadata, **status):
    return await patch_status(
        client,
        RUNS,
        status,
        name="r",
        namespace="ns",
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
    )


async def test_a_status_is_merged(server, client):
    made = make(server)
    written = await write(client, made, phase="Running")
    await write(client, written["metadata"], message="m")
    assert server.get(PLACE)["status"] == {"phase": "Running", "message": "m"}


async def test_what_others_write_meanwhile_is_kept(server, client):
    made = make(server)
    server.patch(PLACE, {"spec": {"cancel": True}})
    await write(client, made, phase="Running")
    found = server.get(PLACE)
    assert (found["spec"], found["status"]) == ({"cancel": True}, {"phase": "Running"})


async def test_a_namesake_is_not_written_to(server, client):
    """The API server would take it: it ignores a UID in the patch of a status."""
    made = make(server)
    server.delete(PLACE, {})
    make(server)
    with pytest.raises(NotFound, match="another one"):
        await write(client, made, phase="Succeeded")
    assert "status" not in server.get(PLACE)


async def test_an_object_that_is_gone_is_not_found(server, client):
    made = make(server)
    server.delete(PLACE, {})
    with pytest.raises(NotFound):
        await write(client, made, phase="Succeeded")


async def test_one_that_always_changes_is_left_for_later(server, client, monkeypatch):
    made = make(server)
    get = client.get

    async def changed(*what, **where):
        found = await get(*what, **where)
        server.patch(PLACE, {"spec": {"x": server.version}})
        return found

    server.patch(PLACE, {"spec": {"x": 0}})
    monkeypatch.setattr(client, "get", changed)
    with pytest.raises(Conflict, match="written later"):
        await write(client, made, phase="Running")


def test_the_latest_version():
    assert latest("9", "10", "") == "10"
    assert latest("", "3") == "3"
