"""A namespace with one workflow, an API server in memory, and a clock that tests set."""

import time

from gradient_operator.config import OperatorConfig
from gradient_operator.controllers.records import project_run
from gradient_operator.controllers.services import Definitions, Key, PodIndex, Services
from gradient_operator.controllers.workflow import WorkflowController
from gradient_operator.kube.resources import RUNS, WORKFLOWS
from gradient_operator.observability.metrics import Metrics
from tests.unit.controllers.memory_api import MemoryApi

KEY = Key("workflow", "ns", "train")


class Cluster:
    """A namespace with one workflow, and a controller that may die and begin anew."""

    def __init__(self):
        self.api = MemoryApi()
        self.now = time.time()
        self.recorder = _Recorder()
        self.workflows = {}
        self.leading = True
        self.restart()

    def restart(self):
        self.queue = _Queue()
        services = Services(
            client=self.api,
            config=OperatorConfig(),
            metrics=Metrics(),
            recorder=self.recorder,
            queue=self.queue,
            pods=PodIndex(),
            definitions=Definitions(),
            assume_pod=lambda pod: None,
            is_leader=lambda: self.leading,
            clock=lambda: self.now,
        )
        self.controller = WorkflowController(
            services, workflows=self.workflows, runs=_Runs(self.api)
        )

    def apply(self, builder, **policy):
        spec = builder.data() | ({"policy": policy} if policy else {})
        known = self.api.all(WORKFLOWS).get("train")
        if known is None:
            self.api.put(WORKFLOWS, "train", spec=spec)
        else:
            known["spec"] = spec
        self.watch()

    def watch(self):
        """The cache catches up with the API server."""
        self.workflows["ns", "train"] = self.api.all(WORKFLOWS)["train"]

    async def look(self):
        await self.controller.reconcile(KEY)
        return self.status()

    def status(self):
        return self.api.all(WORKFLOWS)["train"].get("status", {})

    def runs(self):
        return list(self.api.all(RUNS))

    def condition(self, kind):
        found = {item["type"]: item for item in self.status()["conditions"]}
        return found[kind]


class _Recorder:
    """Events as (reason, note)."""

    def __init__(self):
        self.said = []

    def record(self, regarding, *, reason, note, **_):
        assert regarding.name == "train"
        self.said.append((reason, note))


class _Queue:
    """When the workflow is to be looked at again, in seconds."""

    def __init__(self):
        self.after = None

    def add_after(self, key, seconds):
        assert key == KEY
        self.after = seconds


class _Runs(dict):
    """The runs as the reflector would have them."""

    def __init__(self, api):
        super().__init__()
        self.api = api

    def get(self, key, default=None):
        namespace, name = key
        body = self.api.all(RUNS, namespace=namespace).get(name)
        return project_run(body) if body else default

    def __contains__(self, key):
        return self.get(key) is not None
