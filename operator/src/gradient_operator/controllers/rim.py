"""The rim: the only module that knows kopf. It frames the process and watches the definition kinds.

Handlers only note what they saw and say "look at this key": kopf drops their errors, and its own
change handlers would store whole specs in annotations (limit 262,144 bytes).
"""

import asyncio
import contextlib
import itertools
import logging
import random
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import aiohttp
import kopf
from pydantic import ValidationError

from gradient_operator.api import names
from gradient_operator.api.datasets import StorageProviderSpec
from gradient_operator.api.instance_type import InstanceTypeSpec
from gradient_operator.controllers.services import Definitions, Key
from gradient_operator.kube.backoff import Backoff
from gradient_operator.kube.credentials import load_credentials

logger = logging.getLogger(__name__)

_LONGEST_BACKOFF = 10.0
_SOUND_SECONDS = 60.0
"""After so long without a failure of kopf, the next one is the first again."""


class _NoDiffBase(kopf.DiffBaseStorage):
    """Keeps nothing: no handler of ours needs to know what a spec was before."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        del body, extra_fields
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        del body
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        del body, patch, essence


class _NoProgress(kopf.ProgressStorage):
    """Keeps nothing: handlers only enqueue, there is no progress."""

    def fetch(self, *, key: Any, body: kopf.Body) -> None:
        del key, body

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        del key, record, body, patch

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        del key, body, patch

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        del body, patch, value

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence

    def flush(self) -> None:
        return


class _Backoffs:
    """For ever, with jitter: an outage of the API server is waited out, not died of."""

    def __iter__(self) -> Iterator[float]:
        """Seconds before each further try."""
        growing = (min(2.0**step, _LONGEST_BACKOFF) for step in itertools.count())
        return (random.uniform(0.5, 1.0) * seconds for seconds in growing)  # noqa: S311 - jitter


class Rim:
    """Collects what kopf hears in plain maps, and calls back with what is to be looked at."""

    def __init__(
        self,
        definitions: Definitions,
        *,
        enqueue: Callable[[Key], None],
        definitions_changed: Callable[[], None],
    ) -> None:
        self.workflows: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._definitions = definitions
        self._enqueue = enqueue
        self._definitions_changed = definitions_changed

    def take_workflow(self, body: Mapping[str, Any], *, gone: bool) -> None:
        """Note a workflow and ask for a look at it."""
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if gone:
            self.workflows.pop(key, None)
        else:
            self.workflows[key] = body
        self._enqueue(Key("workflow", *key))

    def take_instance_type(self, body: Mapping[str, Any], *, gone: bool) -> None:
        """Note a machine type; an invalid one counts as absent."""
        known = self._definitions.instance_types
        try:
            spec = InstanceTypeSpec.model_validate(body.get("spec", {}))
        except ValidationError as error:
            logger.warning("machine type %s is invalid: %s", body["metadata"]["name"], error)
            return
        before = known.get(spec.name)
        if gone:
            known.pop(spec.name, None)
        else:
            known[spec.name] = spec
        if known.get(spec.name) != before:
            self._definitions_changed()

    def take_provider(self, body: Mapping[str, Any], *, gone: bool) -> None:
        """Note a storage provider."""
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        known = self._definitions.providers
        before = known.get(key)
        try:
            spec = StorageProviderSpec.model_validate(body.get("spec", {}))
        except ValidationError as error:
            logger.warning("storage provider %s is invalid: %s", "/".join(key), error)
            return
        if gone:
            known.pop(key, None)
        else:
            known[key] = spec
        if known.get(key) != before:
            self._definitions_changed()


def registry(rim: Rim) -> kopf.OperatorRegistry:
    """Handlers for one operator; explicit, so that two in one process do not meet."""
    made = kopf.OperatorRegistry()
    takers = {
        "GradientWorkflow": rim.take_workflow,
        "GradientInstanceType": rim.take_instance_type,
        "GradientStorageProvider": rim.take_provider,
    }
    for kind, take in takers.items():
        _register(made, names.KINDS[kind], take)

    @kopf.on.login(registry=made)
    async def log_in(**_: Any) -> kopf.AiohttpSession:
        return await _session()

    @kopf.on.startup(registry=made)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        _configure(settings)

    return made


async def _session() -> kopf.AiohttpSession:
    """A session with the credentials that our own client uses; asked for anew when they expire."""
    found = load_credentials()
    header = await found.authorization.header()
    return kopf.AiohttpSession(
        server=found.server,
        default_namespace=found.namespace,
        aiohttp_session=aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=found.tls or True),
            headers={"Authorization": header} if header else {},
            proxy=found.proxy,
        ),
    )


def _register(made: kopf.OperatorRegistry, plural: str, take: Callable[..., None]) -> None:
    @kopf.on.event(names.GROUP, names.VERSION, plural, registry=made, id=f"take-{plural}")
    def handle(event: Any, **_: Any) -> None:
        take(event["object"], gone=event["type"] == "DELETED")


def _configure(settings: kopf.OperatorSettings) -> None:
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    settings.queueing.idle_timeout = 1.0
    settings.queueing.exit_timeout = 5.0
    settings.watching.server_timeout = random.randint(300, 600)  # noqa: S311 - spreads reconnects
    settings.watching.connect_timeout = 5
    settings.networking.connect_timeout = 5
    settings.networking.request_timeout = 15
    settings.networking.error_backoffs = _Backoffs()
    settings.peering.standalone = True
    settings.execution.max_workers = 4
    settings.process.ultimate_exiting_timeout = None  # it would also kill us when kopf begins again


async def run(rim: Rim, *, namespace: str | None, identity: str) -> None:
    """Run kopf until a signal ends the process, and begin it again whenever it fails.

    kopf ends as a whole if one of its watches is answered with what it does not expect. Its own
    `operator()` would then cancel every task of this process that is younger than it, and end with
    an error of one of them: requests of ours that are under way are none of its business.

    `identity` only names the process in kopf's logs: without one it would ask for the user's name,
    which a container's bare user id has not.
    """
    stop, backoff = asyncio.Event(), Backoff(most=_LONGEST_BACKOFF)
    while not stop.is_set():
        over = asyncio.Event()
        tasks = await kopf.spawn_tasks(
            identity=cast("Any", identity),  # the type is private to kopf
            registry=registry(rim),
            clusterwide=namespace is None,
            namespaces=[namespace] if namespace is not None else (),
            standalone=True,
            stop_flag=over,
        )
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in (signal.SIGINT, signal.SIGTERM):
            # kopf's would know this life of it alone
            loop.add_signal_handler(number, _raise, stop, over)
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            over.set()  # kopf leaves the task behind that waits for it
        if not stop.is_set():
            errors = [task.exception() for task in ended if not task.cancelled()]
            logger.warning("kopf begins again", extra={"errors": [str(each) for each in errors]})
            if loop.time() - began > _SOUND_SECONDS:
                backoff.reset()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), backoff.next())


def _raise(*flags: asyncio.Event) -> None:
    for flag in flags:
        flag.set()
