"""Where a namespace's datasets are kept, found with the user's own rights.

A dataset names a `GradientStorageProvider` of its namespace, or else it is kept by the operator's
default, which stands in the operator's configuration.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from gradient_operator.api.names import SECRET_OF_STORAGE
from gradient_operator.cli.errors import CommandError
from gradient_operator.datasets.credentials import (
    Credentials,
    environment_credentials,
    read_credentials,
)
from gradient_operator.datasets.location import StorageLocation
from gradient_operator.kube.errors import Forbidden, NotFound
from gradient_operator.kube.resources import SECRETS, STORAGE_PROVIDERS, Resource

if TYPE_CHECKING:
    from pathlib import Path

    from gradient_operator.cli.cluster import Cluster

SYSTEM_NAMESPACE: Final = "gradient-system"
OPERATOR: Final = "gradient-operator"
CONFIG_VOLUME: Final = "config"
"""The volume of the operator's Deployment whose ConfigMap holds the configuration in force."""
SECRET_OF_DEFAULT: Final = "gradient-storage-default"  # noqa: S105 - the name of a Secret

_CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
_DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")


@dataclass(frozen=True, slots=True)
class Storage:
    """A bucket and the keys that open it."""

    location: StorageLocation
    credentials: Credentials


def mounted_storage(config: Path, credentials: Path) -> Storage:
    """The operator's default storage from mounted files, as a Pod of ours has them.

    Raises:
        CommandError: the configuration names no storage.
        DatasetError: the keys cannot be read.
    """
    settings, unreadable = _storage_in({config.name: config.read_text()})
    if settings is None:
        remedy = "it is no YAML" if unreadable else "set 'storage' in it"
        raise CommandError(f"{config} names no object storage: {remedy}.")
    return Storage(_location(settings, place=str(config)), read_credentials(credentials))


async def find_storage(cluster: Cluster, provider: str | None) -> Storage:
    """The storage of a dataset with this provider; None is the operator's default.

    Raises:
        CommandError: it is not configured, or the user may not read how it is reached.
    """
    settings, places = await (
        _default(cluster) if provider is None else _provider(cluster, provider)
    )
    location = _location(settings, place=f"The storage of namespace {cluster.namespace}")
    if settings.get("webIdentity"):
        return Storage(location, _own_credentials(location))
    return Storage(location, await _credentials(cluster, places))


def _own_credentials(location: StorageLocation) -> Credentials:
    """The person's keys: what opens the bucket for helpers is no Secret that could be read."""
    found = environment_credentials()
    if found is None:
        raise CommandError(
            f"Helpers open {location} with a web identity, which you have not: put keys of your "
            "own into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN)."
        )
    return found


def _location(settings: dict[str, Any], *, place: str) -> StorageLocation:
    endpoint = settings.get("endpoint") or ""
    try:
        return StorageLocation(
            endpoint=endpoint,
            region=settings.get("region") or "us-east-1",
            bucket=settings.get("bucket") or "",
            prefix=settings.get("prefix") or "",
            path_style=settings.get("pathStyle", True),
            allow_http=endpoint.startswith("http://"),
        )
    except ValueError as error:
        raise CommandError(f"{place} is misconfigured: {error}.") from None


async def _provider(cluster: Cluster, name: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    hint = "List them with 'kubectl get gradientstorageproviders'."
    found = await cluster.find(STORAGE_PROVIDERS, name, hint=hint)
    spec: dict[str, Any] = found["spec"]
    secret = spec.get("credentialsSecret")
    return spec, [(cluster.namespace, secret)] if secret else []


async def _default(cluster: Cluster) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    remedy = (
        "Ask for the right to read it, or keep the data with a GradientStorageProvider of "
        f"namespace {cluster.namespace} (spec.provider of the dataset)."
    )
    place = f"the ConfigMap of Deployment {OPERATOR} in namespace {SYSTEM_NAMESPACE}"
    try:
        deployment = await cluster.client.get(
            _DEPLOYMENTS, name=OPERATOR, namespace=SYSTEM_NAMESPACE
        )
        found = await cluster.client.get(
            _CONFIG_MAPS, name=_config_map(deployment), namespace=SYSTEM_NAMESPACE
        )
    except NotFound:
        raise CommandError(
            f"The operator's configuration was not found ({place}). Is the operator installed?"
        ) from None
    except Forbidden:
        raise CommandError(
            f"You may not read the operator's configuration ({place}). {remedy}"
        ) from None
    storage, unreadable = _storage_in(found.get("data") or {})
    if storage is None:
        damaged = f" What its file {unreadable[0]} says is no YAML." if unreadable else ""
        raise CommandError(
            f"No object storage is configured: set 'storage' in {place}, or name a provider."
            f"{damaged}"
        )
    return storage, [
        (cluster.namespace, SECRET_OF_STORAGE),
        (SYSTEM_NAMESPACE, SECRET_OF_DEFAULT),
    ]


def _config_map(deployment: dict[str, Any]) -> str:
    """The name of the ConfigMap; it changes with its content, so that a change is rolled out."""
    volumes = deployment["spec"]["template"]["spec"].get("volumes", ())
    for volume in volumes:
        if volume["name"] == CONFIG_VOLUME and "configMap" in volume:
            name: str = volume["configMap"]["name"]
            return name
    raise NotFound(f"Deployment {OPERATOR} mounts no ConfigMap as volume {CONFIG_VOLUME}")


def _storage_in(data: dict[str, str]) -> tuple[dict[str, Any] | None, list[str]]:
    """The part `storage` of the configuration, in whichever file of the ConfigMap it stands.

    And the files that were passed over, because they cannot be read.
    """
    unreadable = []
    for name, text in data.items():
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError:
            unreadable.append(name)
            continue
        if isinstance(content, dict) and isinstance(content.get("storage"), dict):
            found: dict[str, Any] = content["storage"]
            return found, unreadable
    return None, unreadable


async def _credentials(cluster: Cluster, places: list[tuple[str, str]]) -> Credentials:
    """The keys, from the first of the Secrets that exists and may be read."""
    tried = []
    for namespace, name in places:
        place = f"Secret {name} in namespace {namespace}"
        try:
            secret = await cluster.client.get(SECRETS, name=name, namespace=namespace)
        except NotFound:
            tried.append(f"there is no {place}")
            continue
        except Forbidden:
            tried.append(f"you may not read {place}")
            continue
        data = {
            key: base64.b64decode(value).decode().strip()
            for key, value in (secret.get("data") or {}).items()
        }
        return Credentials(
            access_key_id=data.get("accessKeyId"),
            secret_access_key=data.get("secretAccessKey"),
            session_token=data.get("sessionToken"),
            ca_certificate=data.get("ca.crt"),
        )
    raise CommandError(
        f"The keys of the object storage cannot be had: {', and '.join(tried)}. Ask for the right "
        "to read one of these, or for it to be made."
    )
