"""Object storage of a test's own that can be slow or away while other tests use the same server.

A Pod of the test's namespace stands in front of the cluster's S3 server; providers of the namespace
name it as their endpoint (`gate_program.py` says what it can do). It also counts how often jobs
ran, which no Pod that was deleted could tell.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gradient_operator.kube.resources import DATASET_VERSIONS, PODS, RUNS
from tests.e2e.cluster import IMAGE, Cluster, Seen, script

PROGRAM = Path(__file__).with_name("gate_program.py")
FIRST_PORT: Final = 9000
OUTPUT_BYTES: Final = 300_000

SAYS = """
say() { exec 3<>/dev/tcp/gate/9000; echo "$1 $GRADIENT_RUN" >&3; read -r answer <&3; }
"""
WRITES = f"head -c {OUTPUT_BYTES} /dev/urandom >/outputs/d/x\n"


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace with a gate; every run has a port, a provider and a dataset of its name."""

    cluster: Cluster
    ports: dict[str, int]

    async def begin(
        self,
        run: str,
        text: str = "say mark",
        *,
        machine: str = "C4",
        gated: bool = True,
        policy: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Start a run of one job, `job`, that writes a file of random bytes and does `text`."""
        job = script(
            SAYS + WRITES + text,
            outputs={"d": {"type": "dataset", "with": {"ref": run}}},
            resources={"instance-type": machine},
            **more,
        )
        provider = {"datasets": {"provider": run}} if gated else {}
        await self.cluster.start(run, {"job": job}, policy={**provider, **(policy or {})})

    async def gate(self, run: str, mode: str) -> None:
        """Open, hold or down: from now on."""
        port = self.ports[run]
        await self._in_gate(f"echo {mode} >/gate/{port}; {until(f'grep -qx {mode} does-{port}')}")

    async def release(self, run: str) -> None:
        """Let jobs of this run go on that wait (`say wait`)."""
        await self._in_gate(f"touch /gate/go-{run}")

    async def _in_gate(self, text: str) -> str:
        done = await asyncio.to_thread(
            self.cluster.kubectl, "exec", "gate", "--", "bash", "-c", text
        )
        return done.stdout

    async def times_run(self, run: str) -> int:
        """How many containers of this run's job have said so."""
        marks = await self._in_gate("cat /gate/marks")
        return marks.split().count(run)

    async def bytes_read(self, run: str) -> int:
        """How many bytes came from the storage through the port of this run."""
        return int(await self._in_gate(f"cat /gate/read-{self.ports[run]}"))

    async def reported(self, run: str) -> None:
        """Wait until a container of this run's job has said so."""
        await self._in_gate(until(f"grep -qx {run} marks"))

    async def job(self, run: str, holds: Callable[[Seen], bool], *, seconds: float = 150) -> Seen:
        """The job's record once something holds of it."""

        def of_run(item: Seen) -> bool:
            record = item.get("status", {}).get("jobs", {}).get("job", {})
            return bool(record) and holds(record)

        seen = await self.cluster.until(RUNS, run, of_run, seconds=seconds)
        record: Seen = seen["status"]["jobs"]["job"]
        return record

    async def in_phase(self, run: str, phase: str, *, attempt: int = 1) -> Seen:
        """The job's Pod once the job is in a phase."""
        record = await self.job(
            run, lambda job: job["phase"] == phase and job["attempt"] == attempt
        )
        return await self.cluster.client.get(
            PODS, name=record["pod"], namespace=self.cluster.namespace
        )

    async def pod(self, pod: Seen, holds: Callable[[Seen], bool], *, seconds: float = 90) -> Seen:
        """A Pod once something holds of it."""
        return await self.cluster.until(PODS, pod["metadata"]["name"], holds, seconds=seconds)

    async def ended(self, run: str, phase: str, *, seconds: float = 200, **expected: Any) -> Seen:
        """The job's record once its run has ended in a phase, with these fields; and what it left.

        A run that succeeded has left one complete version, any other none; and `gradient show` says
        what the record says.
        """
        status = await self.cluster.ended(run, seconds=seconds)
        shown = json.dumps(status, indent=1)
        assert status["phase"] == phase, shown
        record: Seen = status["jobs"]["job"]
        assert {name: record.get(name) for name in expected} == expected, shown
        listed = await self.cluster.client.list_all(
            DATASET_VERSIONS, namespace=self.cluster.namespace
        )
        versions = [item["spec"] for item in listed.items if item["spec"]["dataset"] == run]
        complete = [(version["files"], version["bytes"]) for version in versions]
        assert complete == ([(1, OUTPUT_BYTES)] if phase == "Succeeded" else []), versions
        if phase == "Failed":
            told = await asyncio.to_thread(self.cluster.gradient, "show", run)
            assert flat(record["message"])[:60] in flat(told.stdout), told.stdout
        return record


def until(holds: str) -> str:
    """Bash that waits up to a minute for a command of the gate's folder to succeed."""
    text = f"cd /gate; until {holds} 2>/dev/null; do sleep 0.05; done"
    return f"timeout 60 bash -c '{text}'"


def flat(text: str) -> str:
    """Text without the line breaks that a table has put into it."""
    return "".join(char for char in text if char.isalnum())


async def set_up(cluster: Cluster, runs: list[str]) -> Place:
    """A gate with a port and a provider for each run, ready."""
    ports = {run: FIRST_PORT + number for number, run in enumerate(runs, start=1)}
    config = cluster.kubectl("-n", "gradient-system", "get", "configmap", "-o", "json").stdout
    endpoint, bucket = default_storage(json.loads(config)["items"])
    secret = json.loads(
        cluster.kubectl(
            "-n", "gradient-system", "get", "secret", "gradient-storage-default", "-o", "json"
        ).stdout
    )
    items = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "gate-keys"},
            "data": secret["data"],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "gate"},
            "data": {"program.py": PROGRAM.read_text()},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "gate"},
            "spec": {
                "clusterIP": "None",
                "selector": {"app": "gate"},
                "ports": [{"port": FIRST_PORT}],
            },
        },
        gate_pod(len(runs), *endpoint),
        *(provider(cluster.namespace, run, port, bucket) for run, port in ports.items()),
    ]
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    await asyncio.to_thread(cluster.kubectl, "apply", "-f", "-", text=body)
    await cluster.until(
        PODS,
        "gate",
        lambda pod: any(
            one["type"] == "Ready" and one["status"] == "True"
            for one in pod["status"].get("conditions", ())
        ),
    )
    return Place(cluster, ports)


def default_storage(configs: list[Seen]) -> tuple[tuple[str, str], str]:
    """Host, port and bucket of the operator's default provider."""
    from urllib.parse import urlsplit

    import yaml

    texts = [
        item["data"]["config.yaml"]
        for item in configs
        if item["metadata"]["name"].startswith("gradient-operator-config")
    ]
    storage = yaml.safe_load(texts[-1])["storage"]
    url = urlsplit(storage["endpoint"])
    return (str(url.hostname), str(url.port or 80)), storage["bucket"]


def gate_pod(gates: int, host: str, port: str) -> Seen:
    """The Pod; on the node of the S3 server, because scenarios take the other one away."""
    server = {
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "seaweedfs"}},
        "namespaces": ["gradient-system"],
        "topologyKey": "kubernetes.io/hostname",
    }
    ready = {"exec": {"command": ["test", "-e", "/gate/ready"]}, "periodSeconds": 1}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "gate", "labels": {"app": "gate"}},
        "spec": {
            "affinity": {
                "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [server]}
            },
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "gate",
                    "image": IMAGE,
                    "command": ["python3", "-u", "/program/program.py"],
                    "args": [str(FIRST_PORT), str(gates), host, port],
                    "readinessProbe": ready,
                    "volumeMounts": [
                        {"name": "program", "mountPath": "/program"},
                        {"name": "gate", "mountPath": "/gate"},
                    ],
                }
            ],
            "volumes": [
                {"name": "program", "configMap": {"name": "gate"}},
                {"name": "gate", "emptyDir": {}},
            ],
        },
    }


def provider(namespace: str, run: str, port: int, bucket: str) -> Seen:
    """Keeps the datasets of one run behind its port, below a prefix of their own."""
    return {
        "apiVersion": "gradient.run/v1alpha1",
        "kind": "GradientStorageProvider",
        "metadata": {"name": run},
        "spec": {
            "endpoint": f"http://gate.{namespace}.svc:{port}",
            "bucket": bucket,
            "prefix": f"{namespace}/{run}",
            "credentialsSecret": "gate-keys",
        },
    }
