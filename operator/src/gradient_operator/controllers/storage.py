"""Object storage as the operator sees it: which provider a run uses, and whether it answers.

The helpers move the data. The operator only hands the default provider's credentials to a
namespace, asks endpoints whether they answer, and, for the default provider, reads long results
and writes abort marks. It may read no Secret of a namespace.
"""

import asyncio
import base64
import logging
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from gradient_operator.api import names
from gradient_operator.config import DefaultStorage, OperatorConfig
from gradient_operator.controllers.services import Definitions
from gradient_operator.datasets.credentials import read_credentials
from gradient_operator.datasets.layout import run_key
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.datasets.pool import Cancellation
from gradient_operator.datasets.result import UploadResult, read_result
from gradient_operator.datasets.store import BlobStore, RetryPolicy
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.errors import AlreadyExists
from gradient_operator.kube.resources import SECRETS
from gradient_operator.pods.request import Storage

logger = logging.getLogger(__name__)

PROBE_PERIOD = 3.0
"""Seconds between two questions to an endpoint that runs wait for."""
PROBE_TIMEOUT = 2.0


class NoStorage(Exception):
    """The run's provider does not exist; the message names the remedy."""


def storage_of_run(
    config: OperatorConfig, definitions: Definitions, *, namespace: str, provider: str | None
) -> Storage:
    """The bucket of a run.

    Raises:
        NoStorage: there is no such provider.
    """
    if provider is not None:
        spec = definitions.providers.get((namespace, provider))
        if spec is None:
            raise NoStorage(
                f"storage provider {provider!r} does not exist in namespace {namespace}. "
                f"List them: kubectl -n {namespace} get gradientstorageproviders"
            )
        return Storage(
            endpoint=spec.endpoint,
            region=spec.region,
            bucket=spec.bucket,
            prefix=spec.prefix,
            path_style=spec.path_style,
            secret=spec.credentials_secret,
            identity=spec.web_identity,
        )
    default = config.storage
    if default is None:
        raise NoStorage(
            "no object storage is configured: set `storage` in the operator's configuration, or "
            "name a GradientStorageProvider in policy.datasets.provider"
        )
    return Storage(
        endpoint=default.endpoint,
        region=default.region,
        bucket=default.bucket,
        prefix=default.prefix,
        path_style=default.path_style,
        secret=names.SECRET_OF_STORAGE if default.web_identity is None else None,
        identity=default.web_identity,
    )


@dataclass(slots=True)
class SecretHandout:
    """Writes the default provider's credentials into namespaces, each once per process."""

    client: KubeClient
    storage: DefaultStorage
    _handed: set[str]

    def __init__(self, client: KubeClient, storage: DefaultStorage) -> None:
        self.client, self.storage, self._handed = client, storage, set()

    async def ensure(self, namespace: str) -> None:
        """Make the Secret `gradient-storage` of a namespace hold the present credentials."""
        if namespace in self._handed or self.storage.web_identity is not None:
            return
        directory = self.storage.credentials_directory
        data = {
            key: base64.b64encode((directory / key).read_bytes()).decode()
            for key in ("accessKeyId", "secretAccessKey", "sessionToken")
            if (directory / key).exists()
        }
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": names.SECRET_OF_STORAGE,
                "namespace": namespace,
                "labels": {names.LABEL_MANAGED_BY: names.MANAGER},
            },
            "data": data,
        }
        try:
            await self.client.create(SECRETS, body)
        except AlreadyExists:
            await self.client.merge_patch(
                SECRETS, {"data": data}, name=names.SECRET_OF_STORAGE, namespace=namespace
            )
        self._handed.add(namespace)


class DefaultStore:
    """The default provider's bucket, for the few objects that the operator itself touches."""

    def __init__(self, storage: DefaultStorage) -> None:
        self._storage = storage
        self._store: BlobStore | None = None

    async def read_result(self, reference: str) -> UploadResult:
        """Read a full result.

        Raises:
            DatasetError: it is missing, malformed, or the storage does not answer.
        """
        return await asyncio.to_thread(lambda: read_result(self._open(), reference))

    async def abort(self, pod_uid: str) -> None:
        """Tell the uploader of a Pod to stop, in one try.

        Raises:
            DatasetError: the mark cannot be written: the upload just goes on.
        """
        await asyncio.to_thread(lambda: self.impatient().put(run_key(pod_uid, "abort"), b"{}"))

    def impatient(self) -> BlobStore:
        """The bucket, for those who try again later themselves.

        Raises:
            DatasetError: its keys cannot be read.
        """
        return self._open().with_retry(RetryPolicy(elapsed=0), Cancellation())

    def _open(self) -> BlobStore:
        if self._store is None:
            location = StorageLocation(
                endpoint=self._storage.endpoint,
                region=self._storage.region,
                bucket=self._storage.bucket,
                prefix=self._storage.prefix,
                path_style=self._storage.path_style,
                allow_http=self._storage.endpoint.startswith("http://"),
            )
            credentials = read_credentials(self._storage.credentials_directory)
            self._store = BlobStore.open(location, credentials)
        return self._store


class StorageProbe:
    """Asks endpoints whether they answer at all, while somebody cares; any HTTP answer will do.

    `problem` is known without waiting: a job starts on the last answer, not on a new one.
    """

    def __init__(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._problems: dict[str, str] = {}
        self._interest: Callable[[], set[str]] = set

    def watch(self, interest: Callable[[], set[str]]) -> None:
        """Give the function that names the endpoints of the runs under way."""
        self._interest = interest

    def problem(self, endpoint: str) -> str:
        """Why the endpoint cannot be used, as a sentence; empty while it can."""
        return self._problems.get(endpoint, "")

    async def know(self, endpoint: str) -> None:
        """Ask once about an endpoint that nobody has asked about yet."""
        if endpoint not in self._problems:
            async with self._session() as session:
                await self._ask(session, endpoint)

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PROBE_TIMEOUT))

    async def run(self) -> None:
        """Ask for ever."""
        async with self._session() as session:
            while True:
                endpoints = self._interest()
                for gone in self._problems.keys() - endpoints:
                    del self._problems[gone]
                await asyncio.gather(*(self._ask(session, endpoint) for endpoint in endpoints))
                await asyncio.sleep(PROBE_PERIOD)

    async def _ask(self, session: aiohttp.ClientSession, endpoint: str) -> None:
        problem = ""
        try:
            async with session.get(endpoint):
                pass
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            said = str(error) or type(error).__name__
            problem = (
                f"object storage at {endpoint} does not answer ({said}). Check that it runs and "
                "that its address is right; jobs go on by themselves once it answers"
            )
        known = self._problems.get(endpoint, "")
        # While it stays unreachable the first sentence stands: the words of errors vary.
        self._problems[endpoint] = known if known and problem else problem
        if bool(known) != bool(problem):
            self._on_change(endpoint)
