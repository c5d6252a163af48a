import asyncio
import json
import re
import socket

import pytest

from gradient_operator.kube.client import KubeClient, RetryPolicy
from gradient_operator.kube.credentials import Credentials, FixedHeader
from gradient_operator.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from gradient_operator.kube.resources import INSTANCE_TYPES, PODS, RUNS
from gradient_operator.kube.transport import IN_FLIGHT
from tests.unit.kube.faults import fails, hangs, resets, says
from tests.unit.kube.faulty_api import FaultyApi, quick
from tests.unit.kube.serving import serving

RUN = {"metadata": {"name": "a"}, "spec": {"x": 1}}


async def test_an_object_is_created_read_changed_and_deleted(client, api):
    created = await client.create(RUNS, RUN, namespace="ns")
    assert created["metadata"]["uid"]
    assert await client.get(RUNS, namespace="ns", name="a") == created

    changed = await client.merge_patch(RUNS, {"spec": {"y": 2}}, namespace="ns", name="a")
    assert changed["spec"] == {"x": 1, "y": 2}

    await client.delete(RUNS, namespace="ns", name="a", uid=created["metadata"]["uid"])
    with pytest.raises(NotFound):
        await client.get(RUNS, namespace="ns", name="a")


async def test_a_create_uses_the_namespace_of_the_object(client, api):
    await client.create(RUNS, {"metadata": {"name": "a", "namespace": "there"}})
    assert api.requests[-1].path == "/apis/gradient.run/v1alpha1/namespaces/there/gradientruns"


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", Forbidden),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Expired", Gone),
        (418, "", KubeError),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", ServerError),
        (503, "ServiceUnavailable", ServerError),
    ],
)
async def test_each_refusal_is_its_own_error(client, api, code, reason, error):
    api.next("create", *[fails(code, reason)] * 2)
    with pytest.raises(error) as caught:
        await client.create(RUNS, RUN, namespace="ns")
    assert type(caught.value) is error
    assert caught.value.status == code
    assert caught.value.retryable == (error in {TooManyRequests, ServerError})


async def test_a_refusal_by_something_else_than_the_api_server_keeps_its_words(client, api):
    api.next("create", says("<html>bad gateway</html>", code=502))
    with pytest.raises(ServerError, match="<html>bad gateway</html>"):
        await client.create(RUNS, RUN, namespace="ns")


async def test_an_answer_that_is_no_json_is_an_error_of_the_server(client, api):
    api.next("create", says("<html>"))
    with pytest.raises(ServerError, match="no JSON"):
        await client.create(RUNS, RUN, namespace="ns")


@pytest.mark.parametrize("fault", [fails(500), fails(503), fails(429), resets])
async def test_a_read_is_repeated_until_it_succeeds(client, api, fault):
    api.put(RUNS.plural, "a")
    api.next("get", fault, fault)
    assert (await client.get(RUNS, namespace="ns", name="a"))["metadata"]["name"] == "a"


async def test_a_read_is_not_repeated_for_ever(client, api):
    api.next("get", *[fails(503)] * 20)
    with pytest.raises(ServerError):
        await client.get(RUNS, namespace="ns", name="a")
    assert api.count("get") == 4


async def test_a_refusal_for_good_is_not_repeated(client, api):
    with pytest.raises(NotFound):
        await client.get(RUNS, namespace="ns", name="a")
    assert api.count("get") == 1


async def test_the_server_decides_how_long_to_wait(client, api):
    api.put(RUNS.plural, "a")
    api.next("get", fails(429, headers={"Retry-After": "1"}))
    await client.get(RUNS, namespace="ns", name="a")
    first, second = (request.at for request in api.requests)
    assert second - first >= 1.0


async def test_a_long_wait_is_left_to_the_caller(client, api):
    api.next("get", fails(429, headers={"Retry-After": "60"}))
    with pytest.raises(TooManyRequests) as caught:
        await client.get(RUNS, namespace="ns", name="a")
    assert caught.value.retry_after == 60.0
    assert api.count("get") == 1


@pytest.mark.parametrize("fault", [fails(500), fails(429), resets])
async def test_a_create_that_may_have_happened_is_not_repeated(client, api, fault):
    api.next("create", fault)
    with pytest.raises(KubeError) as caught:
        await client.create(RUNS, RUN, namespace="ns")
    assert caught.value.retryable
    assert api.count("create") == 1


async def test_a_create_that_was_never_sent_is_repeated():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    refused = asyncio.Event()

    def observe(_verb: str, _resource: str, code: int, _seconds: float, /) -> None:
        if code == 0:
            refused.set()

    client = KubeClient(
        Credentials(f"http://127.0.0.1:{port}", FixedHeader()),
        user_agent="test",
        observer=observe,
        retries=RetryPolicy(attempts=50, first_wait=0.01, longest_wait=0.1),
    )
    api = FaultyApi()
    async with client:
        creation = asyncio.create_task(client.create(RUNS, RUN, namespace="ns"))
        await refused.wait()
        await api.start(port)
        assert (await creation)["metadata"]["name"] == "a"
        assert api.count("create") == 1
    await api.stop()


async def test_nobody_listening_is_an_error_that_says_the_request_was_not_sent():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{reserved.getsockname()[1]}"
    retries = RetryPolicy(attempts=2, first_wait=0.001)
    async with KubeClient(
        Credentials(server, FixedHeader()), user_agent="test", retries=retries
    ) as client:
        with pytest.raises(Unreachable) as caught:
            await client.create(RUNS, RUN, namespace="ns")
    assert not caught.value.sent
    assert caught.value.status == 0


async def test_a_request_without_an_answer_ends(api):
    api.next("create", hangs)
    async with api.client(timeouts=quick(total=0.05)) as client:
        with pytest.raises(Unreachable) as caught:
            await client.create(RUNS, RUN, namespace="ns")
    assert caught.value.sent


async def test_waiting_for_a_turn_does_not_eat_the_time_of_a_request(api):
    async def slow(request):
        await asyncio.sleep(0.4)
        return await says("{}")(request)

    count = 6 * IN_FLIGHT
    api.next("get", *[slow] * count)
    async with api.client(timeouts=quick(total=2.0), retries=RetryPolicy(attempts=1)) as client:
        answers = await asyncio.gather(
            *(client.get(RUNS, namespace="ns", name="a") for _ in range(count))
        )
    assert answers == [{}] * count


async def test_a_proxy_is_asked_where_there_is_one():
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if asked[-1].startswith(b"POST"):
            asked[-1] += await reader.readexactly(2)
        body = b'{"metadata":{}}\n'
        head = b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(body) + body)

    async with serving(proxy) as place:
        credentials = Credentials("http://api.invalid", FixedHeader("x"), proxy=f"http://{place}")
        async with KubeClient(credentials, user_agent="test") as client:
            assert await client.create(RUNS, {}, namespace="ns") == {"metadata": {}}
            lines = [line async for line in client.pod_logs("p", namespace="ns")]
    assert lines == [b'{"metadata":{}}']
    request, logs = asked
    assert logs.startswith(b"GET http://api.invalid/api/v1/namespaces/ns/pods/p/log")
    assert request.startswith(b"POST http://api.invalid/apis/gradient.run/v1alpha1/namespaces/ns/")
    assert request.endswith(b"\r\n\r\n{}")
    assert request.count(b"Content-Length: 2\r\n") == 1


async def test_names_that_people_mistype_reach_the_server_as_they_are(client, api):
    for name in ("a b", "ä", "a?b=c", "a%2fb", "a#b"):
        with pytest.raises(NotFound, match=re.escape(f"{name} not found")):
            await client.get(RUNS, namespace="ns", name=name)


async def test_every_attempt_is_observed(api):
    seen = []
    api.put(RUNS.plural, "a")
    api.next("get", resets, fails(503))

    def observe(verb: str, resource: str, code: int, seconds: float, /) -> None:
        assert seconds >= 0
        seen.append((verb, resource, code))

    async with api.client(observer=observe) as client:
        await client.get(RUNS, namespace="ns", name="a")
    assert seen == [("get", "gradientruns", code) for code in (0, 503, 200)]


async def test_a_list_comes_in_pages_and_as_a_whole(client, api):
    for name in "abcde":
        api.put(RUNS.plural, name)
    pages = [page async for page in client.list_pages(RUNS, limit=2)]
    assert [[item["metadata"]["name"] for item in page.items] for page in pages] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]
    whole = await client.list_all(RUNS, limit=2)
    assert len(whole.items) == 5
    assert whole.resource_version == str(api.version)


async def test_a_list_whose_pages_expire_is_taken_in_one_piece(client, api):
    for name in "abc":
        api.put(RUNS.plural, name)
    whole = await client.list_all(RUNS)
    api.next("list", says(json.dumps({"metadata": {"continue": "x"}, "items": whole.items[:2]})))
    api.next("list", fails(410, "Expired"))
    assert await client.list_all(RUNS, limit=2) == whole
    assert "limit" not in api.requests[-1].query


async def test_a_list_is_narrowed_by_labels(client, api):
    api.put(RUNS.plural, "a")
    assert (await client.list_all(RUNS, label_selector="app=x")).items == []
    assert api.requests[-1].query["labelSelector"] == "app=x"


async def test_a_kind_of_the_cluster_has_no_namespace_in_its_path(client, api):
    with pytest.raises(NotFound):
        await client.get(INSTANCE_TYPES, name="C4")
    assert api.requests[-1].path == "/apis/gradient.run/v1alpha1/gradientinstancetypes/C4"


async def test_a_namespaced_object_is_not_looked_for_without_a_namespace(client):
    with pytest.raises(ValueError, match="say in which namespace"):
        await client.get(RUNS, name="a")


async def test_a_patch_of_an_object_that_has_changed_is_refused(client, api):
    old = api.put(RUNS.plural, "a")["metadata"]["resourceVersion"]
    api.put(RUNS.plural, "a", spec={})
    body = {"metadata": {"resourceVersion": old}, "spec": {"y": 1}}
    with pytest.raises(Conflict):
        await client.merge_patch(RUNS, body, namespace="ns", name="a")


async def test_a_namesake_is_not_deleted(client, api):
    api.put(RUNS.plural, "a")
    with pytest.raises(Conflict):
        await client.delete(RUNS, namespace="ns", name="a", uid="another", grace_seconds=0)
    assert api.requests[-1].body == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": "another"},
        "gracePeriodSeconds": 0,
    }
    assert api.objects


async def test_an_apply_names_its_manager_and_the_kind(client, api):
    api.put(RUNS.plural, "a")
    await client.apply(RUNS, {"spec": {}}, namespace="ns", name="a", field_manager="me")
    request = api.requests[-1]
    assert request.query == {"fieldManager": "me", "force": "true"}
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert request.body == {
        "apiVersion": "gradient.run/v1alpha1",
        "kind": "GradientRun",
        "metadata": {"name": "a"},
        "spec": {},
    }


async def test_a_raw_path_is_returned_as_it_is(client, api):
    api.next("get", says('{"gitVersion":"v1.34.4"}'))
    assert await client.raw_get("/version") == b'{"gitVersion":"v1.34.4"}'


def test_paths_of_subresources():
    assert PODS.path("ns", "p", "status") == "/api/v1/namespaces/ns/pods/p/status"
    assert PODS.path() == "/api/v1/pods"
    assert PODS.api_version == "v1"
    assert RUNS.api_version == "gradient.run/v1alpha1"
    with pytest.raises(ValueError, match="belongs to one object"):
        PODS.path("ns", None, "status")


class MayNotWrite(Exception):
    pass


class Right:
    """To write, for so many requests."""

    def __init__(self, requests: int) -> None:
        self.left = requests

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise MayNotWrite


@pytest.mark.parametrize(
    "write",
    [
        lambda client: client.create(RUNS, RUN, namespace="ns"),
        lambda client: client.merge_patch(RUNS, {"x": 1}, namespace="ns", name="a"),
        lambda client: client.apply(RUNS, {}, namespace="ns", name="a", field_manager="m"),
        lambda client: client.delete(RUNS, namespace="ns", name="a"),
    ],
)
async def test_who_has_lost_the_right_to_write_sends_nothing(client, api, write):
    with pytest.raises(MayNotWrite):
        await write(client.fenced(Right(0)))
    assert api.requests == []


async def test_the_right_to_write_is_asked_for_before_each_repetition(client, api):
    api.put("gradientruns", "a")
    api.next("patch", fails(503), fails(503))
    with pytest.raises(MayNotWrite):
        await client.fenced(Right(2)).merge_patch(RUNS, {"x": 1}, namespace="ns", name="a")
    assert api.count("patch") == 2


async def test_reading_needs_no_right(client, api):
    api.put("gradientruns", "a")
    assert await client.fenced(Right(0)).get(RUNS, namespace="ns", name="a")
