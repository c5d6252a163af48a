"""Reconciles workflows: is the file valid, and does its graph, or the time, call for a new run?

A run is started once per changed graph, or once per time of a schedule. Its name is derived from
the graph and from the run before it, or from the time, so that a crash, or a stale cache, meets the
run that exists already.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from gradient_operator.api import names
from gradient_operator.api.times import parse_time
from gradient_operator.api.triggers import Schedule
from gradient_operator.controllers import conditions, schedules
from gradient_operator.controllers.records import RunView
from gradient_operator.controllers.run_status import difference
from gradient_operator.controllers.services import Key, NotLeading, Services
from gradient_operator.kube.errors import AlreadyExists, NotFound
from gradient_operator.kube.recorder import ObjectReference
from gradient_operator.kube.resources import RUNS, WORKFLOWS
from gradient_operator.kube.statuses import latest, patch_status
from gradient_operator.pods.names import label_value, run_name
from gradient_operator.workflow.check import check, definition_of, definition_text
from gradient_operator.workflow.model import Refused
from gradient_operator.workflow.triggers import trigger_of

logger = logging.getLogger(__name__)

_PROBLEMS_SHOWN: Final = 5


class WorkflowController:
    """Looks after all workflows; `workflows` holds their objects as `rim` last heard of them."""

    def __init__(
        self,
        services: Services,
        *,
        workflows: Mapping[tuple[str, str], Mapping[str, Any]],
        runs: Mapping[tuple[str, str], RunView],
    ) -> None:
        self._services = services
        self._workflows = workflows
        self._runs = runs
        self._written: dict[Key, tuple[str, str, dict[str, Any]]] = {}
        """UID, version and status as acknowledged: newer than what the watch has brought."""

    async def reconcile(self, key: Key) -> None:
        """Look at one workflow.

        Raises:
            KubeError: something could not be done now; look again.
        """
        body = self._workflows.get((key.namespace, key.name))
        if body is None or "deletionTimestamp" in body["metadata"]:
            self._written.pop(key, None)
            return
        uid = body["metadata"]["uid"]
        known, version, before = self._written.get(key, ("", "", {}))
        if known != uid:
            before = dict(body.get("status", {}))
        status = await self._status(body, before)
        patch = difference(before, status)
        if patch:
            version = await self._patch(body, patch, version if known == uid else "")
            self._written[key] = uid, version, status

    async def _status(self, body: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
        metadata = body["metadata"]
        spec = body.get("spec", {})
        definition, text = definition_of(spec), definition_text(spec)
        status: dict[str, Any] = {
            "observedGeneration": metadata.get("generation", 0),
            "specHash": before.get("specHash", ""),
        }
        if "lastRun" in before:
            status["lastRun"] = self._last_run(metadata, before["lastRun"])
        try:
            checked = check(spec)
        except Refused as refused:
            found = [self._refusal(refused)]
            return self._finish(status, found, before, metadata)
        status["jobs"] = len(checked.workflow.jobs)
        spec_hash = hashlib.sha256(text.encode()).hexdigest()
        trigger = trigger_of(checked.spec)
        if not checked.spec.suspend:
            # A change made while it is suspended starts its run afterwards.
            status["specHash"] = spec_hash
        name = None
        entries = checked.spec.on.schedule if checked.spec.on is not None else None
        if trigger.kind == "Schedule" and entries:
            name = await self._on_time(body, definition, entries, before, status)
        elif trigger.kind == "Spec" and spec_hash != before.get("specHash"):
            name = await self._on_change(body, definition, spec_hash, before)
        if name is not None:
            status["lastRun"] = self._last_run(metadata, {"name": name})
        warnings = "; ".join(str(problem) for problem in checked.warnings[:_PROBLEMS_SHOWN])
        found = [
            conditions.Condition("Accepted", "True", "Valid", warnings),
            conditions.Condition("Trigger", "True", trigger.reason, trigger.message),
        ]
        return self._finish(status, found, before, metadata)

    def _last_run(self, metadata: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
        view = self._runs.get((metadata["namespace"], last["name"]))
        if view is None or view.phase is None:
            return dict(last)
        return {"name": last["name"], "phase": view.phase.value}

    def _refusal(self, refused: Refused) -> conditions.Condition:
        reason = "".join(part.title() for part in refused.problems[0].rule.split("-"))
        return conditions.Condition("Accepted", "False", reason, refused.summary())

    def _finish(
        self,
        status: dict[str, Any],
        found: list[conditions.Condition],
        before: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Add what kstatus reads: a valid definition is ready, a refused one is stalled."""
        accepted = found[0]
        found = [
            *found,
            conditions.Condition("Ready", accepted.status, accepted.reason, accepted.message),
        ]
        if accepted.status != "True":
            found.append(conditions.Condition("Stalled", "True", accepted.reason, accepted.message))
        status["conditions"] = conditions.merge(
            before.get("conditions", ()),
            found,
            generation=metadata.get("generation", 0),
            now=self._services.clock(),
        )
        return status

    async def _on_change(
        self,
        body: Mapping[str, Any],
        definition: Mapping[str, Any],
        spec_hash: str,
        before: Mapping[str, Any],
    ) -> str:
        """Start the run of a changed graph; its name."""
        metadata = body["metadata"]
        name = run_name(
            workflow=metadata["name"],
            workflow_uid=metadata["uid"],
            spec_hash=spec_hash,
            trigger="Spec",
            last=before.get("lastRun", {}).get("name", ""),
        )
        trigger = {"kind": "Spec", "specHash": spec_hash}
        await self._start(body, definition, name=name, trigger=trigger, why="its jobs changed")
        return name

    async def _on_time(
        self,
        body: Mapping[str, Any],
        definition: Mapping[str, Any],
        entries: Sequence[Schedule],
        before: Mapping[str, Any],
        status: dict[str, Any],
    ) -> str | None:
        """Start the run that is due, if one is; its name. The next look is ordered here."""
        services, metadata = self._services, body["metadata"]
        now = services.clock()
        created_at = parse_time(metadata.get("creationTimestamp"))
        found = schedules.schedule(entries, before=before, created_at=created_at, now=now)
        status["schedule"] = dict(found.status)
        sleep = found.sleep(now)
        if sleep is not None:
            key = Key("workflow", metadata["namespace"], metadata["name"])
            services.queue.add_after(key, sleep)

        def name_for(time: str) -> str:
            return run_name(
                workflow=metadata["name"],
                workflow_uid=metadata["uid"],
                spec_hash="",
                trigger="Schedule",
                last=time,
            )

        missed = found.missed(lambda time: (metadata["namespace"], name_for(time)) in self._runs)
        if missed:
            self._tell(metadata, "Warning", "ScheduleMissed", missed)
        if found.time is None:
            return None
        name = name_for(found.time)
        trigger = {"kind": "Schedule", "scheduledTime": found.time}
        why = f"its schedule says {found.time}"
        await self._start(body, definition, name=name, trigger=trigger, why=why)
        return name

    async def _start(
        self,
        body: Mapping[str, Any],
        definition: Mapping[str, Any],
        *,
        name: str,
        trigger: Mapping[str, Any],
        why: str,
    ) -> None:
        metadata = body["metadata"]
        spec: dict[str, Any] = {
            "workflow": metadata["name"],
            "trigger": dict(trigger),
            "definition": definition,
        }
        policy = body["spec"].get("policy")
        if policy:
            spec["policy"] = policy
        run = {
            "apiVersion": names.API_VERSION,
            "kind": "GradientRun",
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": {
                    names.LABEL_MANAGED_BY: names.MANAGER,
                    names.LABEL_WORKFLOW: label_value(metadata["name"]),
                },
                "ownerReferences": [
                    {
                        "apiVersion": names.API_VERSION,
                        "kind": "GradientWorkflow",
                        "name": metadata["name"],
                        "uid": metadata["uid"],
                        "controller": True,
                        "blockOwnerDeletion": False,
                    }
                ],
            },
            "spec": spec,
        }
        if not self._services.is_leader():
            raise NotLeading
        try:
            await self._services.client.create(RUNS, run)
        except AlreadyExists:
            logger.info("run %s exists already", name)
        else:
            self._tell(metadata, "Normal", "RunStarted", f"started run {name}: {why}")

    def _tell(
        self,
        metadata: Mapping[str, Any],
        type_: Literal["Normal", "Warning"],
        reason: str,
        note: str,
    ) -> None:
        workflow = ObjectReference(
            names.API_VERSION,
            "GradientWorkflow",
            metadata["name"],
            metadata["namespace"],
            metadata["uid"],
        )
        self._services.recorder.record(workflow, type=type_, reason=reason, note=note)

    async def _patch(self, body: Mapping[str, Any], patch: Mapping[str, Any], version: str) -> str:
        """Write the status of exactly this workflow; the version that it has then."""
        metadata = body["metadata"]
        if not self._services.is_leader():
            raise NotLeading
        try:
            written = await patch_status(
                self._services.client,
                WORKFLOWS,
                patch,
                name=metadata["name"],
                namespace=metadata["namespace"],
                uid=metadata["uid"],
                version=latest(metadata["resourceVersion"], version),
            )
        except NotFound:
            logger.info("workflow %s is gone", metadata["name"])
            return version
        return str(written["metadata"]["resourceVersion"])
