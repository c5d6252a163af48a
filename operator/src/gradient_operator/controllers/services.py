"""What the controllers share: the client, the caches, the queue, the clock."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from gradient_operator.api.datasets import StorageProviderSpec
from gradient_operator.config import OperatorConfig
from gradient_operator.controllers.machine_types import MachineTypes
from gradient_operator.controllers.reuse import ResultIndex
from gradient_operator.engine.model import PodRecord
from gradient_operator.kube.client import KubeClient
from gradient_operator.kube.limits import TokenBucket
from gradient_operator.kube.queue import KeyedQueue
from gradient_operator.kube.recorder import EventRecorder
from gradient_operator.observability.metrics import Metrics

QUESTIONS_AT_ONCE: Final = 10
QUESTIONS_PER_SECOND: Final = 1.0
"""How often the Events of silent Pods are read, of all runs together."""


class NotLeading(Exception):
    """Another process may lead: nothing may be written any more."""


class Key(NamedTuple):
    """What a worker looks at."""

    controller: Literal["run", "status", "workflow", "provider", "dataset"]
    namespace: str
    name: str


@dataclass(slots=True)
class PodIndex:
    """The cached Pods by the run that they belong to (namespace and name)."""

    by_run: dict[tuple[str, str], dict[str, PodRecord]] = field(default_factory=dict)

    def update(self, old: PodRecord | None, new: PodRecord | None) -> tuple[str, str]:
        """Take a change from the reflector over; answers whose run it concerns."""
        pod = new or old
        if pod is None:
            raise ValueError("a change needs a record before or after it")
        run = (pod.namespace, pod.run)
        if old is not None and (new is None or old.run != new.run):
            self._drop(old)
        if new is not None:
            self.by_run.setdefault(run, {})[new.name] = new
        return run

    def _drop(self, pod: PodRecord) -> None:
        pods = self.by_run.get((pod.namespace, pod.run), {})
        pods.pop(pod.name, None)
        if not pods:
            self.by_run.pop((pod.namespace, pod.run), None)

    def of(self, namespace: str, run: str) -> Mapping[str, PodRecord]:
        """The Pods of a run by name, also those of an earlier run of the same name."""
        return self.by_run.get((namespace, run), {})


@dataclass(slots=True)
class Definitions:
    """The definition kinds that plans depend on, as `rim` hears of them."""

    instance_types: MachineTypes = field(default_factory=MachineTypes)
    """By the name that jobs use."""
    providers: dict[tuple[str, str], StorageProviderSpec] = field(default_factory=dict)
    """By namespace and name."""


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to every controller; `is_leader` fences each write."""

    client: KubeClient
    config: OperatorConfig
    metrics: Metrics
    recorder: EventRecorder
    queue: KeyedQueue[Key]
    pods: PodIndex
    definitions: Definitions
    assume_pod: Callable[[PodRecord], None]
    is_leader: Callable[[], bool]
    results: ResultIndex = field(default_factory=ResultIndex)
    """Results that may be reused."""
    questions: TokenBucket = field(
        default_factory=lambda: TokenBucket(rate=QUESTIONS_PER_SECOND, burst=QUESTIONS_AT_ONCE)
    )
    clock: Callable[[], float] = time.time
