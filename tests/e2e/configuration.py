"""The operator with another configuration for a while, for what an installation decides."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import yaml

from tests.e2e.cluster import Cluster

SYSTEM = "gradient-system"
FILE = "config.yaml"


@asynccontextmanager
async def configured(cluster: Cluster, **changes: Any) -> AsyncIterator[None]:
    """Have an operator with these keys of its configuration instead of its own."""
    system = Cluster(cluster.client, SYSTEM)
    config = await asyncio.to_thread(_config_map, system)
    before = _read(system, config)
    await _configure(system, config, {**yaml.safe_load(before), **changes})
    try:
        yield
    finally:
        await _configure(system, config, yaml.safe_load(before))


def _config_map(system: Cluster) -> str:
    """The name of the ConfigMap that the operator mounts."""
    found = system.kubectl("get", "deployment/gradient-operator", "-o", "json").stdout
    volumes = json.loads(found)["spec"]["template"]["spec"]["volumes"]
    names = [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]
    return str(names[0])


def _read(system: Cluster, config: str) -> str:
    found = json.loads(system.kubectl("get", "configmap", config, "-o", "json").stdout)
    return str(found["data"][FILE])


async def _configure(system: Cluster, config: str, settings: dict[str, Any]) -> None:
    patch = json.dumps({"data": {FILE: yaml.safe_dump(settings)}})
    words = ("deployment/gradient-operator", "--timeout=120s")
    for command in (
        ("patch", "configmap", config, "--type=merge", "-p", patch),
        ("rollout", "restart", words[0]),
        ("rollout", "status", *words),
    ):
        await asyncio.to_thread(system.kubectl, *command)
