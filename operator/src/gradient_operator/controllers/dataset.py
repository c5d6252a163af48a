"""Keeps what datasets say about themselves: newest version, sums, tags, readers, retention.

Level-triggered and beside the way of a run: a commit moves `latest` itself, this controller mends
what a crash or a deletion left. It knows the API server and nothing of object storage.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from gradient_operator.api.sizes import size_text
from gradient_operator.api.times import format_time, parse_duration, parse_time
from gradient_operator.controllers import conditions
from gradient_operator.controllers.dataset_records import DatasetView, VersionIndex, VersionView
from gradient_operator.controllers.dataset_uses import MOST, Uses
from gradient_operator.controllers.services import Key, NotLeading, Services
from gradient_operator.engine.retention import Decision, Policy, VersionFacts, decide
from gradient_operator.kube.errors import Conflict, NotFound
from gradient_operator.kube.resources import DATASET_VERSIONS, DATASETS, MODELS
from gradient_operator.kube.statuses import patch_status

logger = logging.getLogger(__name__)

SETTLE_SECONDS: Final = 0.5
"""Changes of a dataset within this time are looked at together."""
LONGEST_WAIT_SECONDS: Final = 3_600.0
_SHOWN_TAGS: Final = 200
_NAMED: Final = 5


class DatasetController:
    """Looks at one dataset at a time."""

    def __init__(
        self,
        services: Services,
        *,
        datasets: Mapping[tuple[str, str], DatasetView],
        versions: VersionIndex,
        uses: Uses,
        changed: Callable[[DatasetView], None] = lambda _: None,
    ) -> None:
        self._services = services
        self._datasets = datasets
        self._versions = versions
        self._uses = uses
        self._changed = changed

    async def reconcile(self, key: Key) -> None:
        """Write what has changed, mark and delete what retention says.

        Raises:
            KubeError: the API server did not take it; look again.
            NotLeading: another process may lead.
        """
        view = self._datasets.get((key.namespace, key.name))
        if view is None:
            return
        if not self._services.is_leader():
            raise NotLeading
        versions = dict(self._versions.of(key.namespace, key.name))
        latest = await self._latest(view, versions)
        decision, problem = await self._decide(view, versions, latest)
        for version in versions.values():
            await self._write_version(view, version, decision)
        await self._write_dataset(view, versions, latest, decision=decision, problem=problem)
        await self._delete(versions, decision)
        self._changed(view)
        if decision.look_at is not None:
            wait = decision.look_at - self._services.clock()
            self._services.queue.add_after(key, min(max(wait, 1.0), LONGEST_WAIT_SECONDS))

    async def _latest(
        self, view: DatasetView, versions: Mapping[str, VersionView]
    ) -> Mapping[str, Any] | None:
        """The newest version: as it was committed, or found again after that one was deleted."""
        latest: Mapping[str, Any] | None = view.status.get("latest")
        if latest is not None:
            if latest["version"] in versions:
                return latest
            name = f"{view.name}-{latest['version']}"
            with suppress(NotFound):  # the cache may be behind the commit
                await self._services.client.get(
                    DATASET_VERSIONS, name=name, namespace=view.namespace
                )
                return latest
        newest = max(versions.values(), key=lambda each: (each.created, each.name), default=None)
        return newest.summary() if newest is not None else None

    async def _decide(
        self,
        view: DatasetView,
        versions: Mapping[str, VersionView],
        latest: Mapping[str, Any] | None,
    ) -> tuple[Decision, str]:
        """What retention wants, and a sentence if it cannot be read: then nothing is deleted."""
        problem = ""
        try:
            policy = retention_of(view.spec)
        except ValueError as error:
            policy, problem = None, f"spec.retention cannot be read and deletes nothing: {error}"
        needed = {latest["version"]} if latest else set()
        facts = [self._facts(view, each, needed) for each in versions.values()]
        now = self._services.clock()
        decision = decide(facts, policy, now=now)
        if not decision.marks and not decision.expired:
            return decision, problem
        needed |= await self._registered(view)
        facts = [self._facts(view, each, needed) for each in versions.values()]
        return decide(facts, policy, now=now), problem

    async def _registered(self, view: DatasetView) -> set[str]:
        """The versions that models name, in all namespaces that may read the dataset."""
        found = set()
        for namespace in dict.fromkeys([view.namespace, *view.spec.get("readableFrom", ())]):
            listed = await self._services.client.list_all(MODELS, namespace=namespace)
            for spec in (model["spec"] for model in listed.items):
                place = (spec.get("datasetNamespace") or namespace, spec["dataset"])
                if place == (view.namespace, view.name):
                    found.add(spec["version"])
        return found

    def _facts(self, view: DatasetView, each: VersionView, needed: set[str]) -> VersionFacts:
        key = (each.namespace, each.dataset, each.version)
        used = [parse_time(each.status.get("lastUsedAt")) or 0.0, *self._uses.seen(key).values()]
        return VersionFacts(
            name=each.version,
            created_at=each.created_at,
            bytes=each.bytes,
            tagged=each.version in view.tags.values(),
            needed=each.version in needed or self._uses.under_way(key),
            used_at=max(used) or None,
            expires_at=parse_time(each.status.get("expiresAt")),
        )

    async def _write_version(
        self, view: DatasetView, each: VersionView, decision: Decision
    ) -> None:
        key = (each.namespace, each.dataset, each.version)
        seen = dict(self._uses.seen(key))
        wanted = self._version_status(view, each, seen)
        if each.version in decision.marks:
            wanted["expiresAt"] = format_time(decision.marks[each.version])
        elif "expiresAt" in each.status:
            wanted["expiresAt"] = each.status["expiresAt"]
        changes = {name: value for name, value in wanted.items() if each.status.get(name) != value}
        if changes:
            with suppress(NotFound):
                await patch_status(
                    self._services.client,
                    DATASET_VERSIONS,
                    changes,
                    name=each.name,
                    namespace=each.namespace,
                    uid=each.uid,
                    version=each.resource_version,
                )
        self._uses.written(key, seen)

    def _version_status(
        self, view: DatasetView, each: VersionView, seen: Mapping[str, float]
    ) -> dict[str, Any]:
        tags = sorted(tag for tag, version in view.tags.items() if version == each.version)
        wanted: dict[str, Any] = {
            "size": size_text(each.bytes),
            "tags": shown_tags(tags),
            "madeBy": each.made_by,
        }
        if seen:
            newest = sorted(seen, key=lambda run: (seen[run], run), reverse=True)
            before = [run for run in each.status.get("usedBy", ()) if run not in seen]
            wanted["usedBy"] = [*newest, *before][:MOST]
            last = max(*seen.values(), parse_time(each.status.get("lastUsedAt")) or 0.0)
            wanted["lastUsedAt"] = format_time(last)
        return wanted

    async def _write_dataset(
        self,
        view: DatasetView,
        versions: Mapping[str, VersionView],
        latest: Mapping[str, Any] | None,
        *,
        decision: Decision,
        problem: str,
    ) -> None:
        wanted: dict[str, Any] = {
            "observedGeneration": view.generation,
            "latest": latest,
            "versions": len(versions),
            "bytes": sum(each.bytes for each in versions.values()),
            "size": size_text(latest["bytes"]) if latest else "",
            "tags": shown_tags(sorted(t for t, v in view.tags.items() if v in versions)),
            "expiring": _expiring(versions, decision),
            "conditions": conditions.merge(
                view.status.get("conditions", ()),
                [_ready(view, versions, problem)],
                generation=view.generation,
                now=self._services.clock(),
            ),
        }
        changes = {name: value for name, value in wanted.items() if view.status.get(name) != value}
        if not changes:
            return
        body = {"metadata": {"resourceVersion": view.resource_version}, "status": changes}
        with suppress(NotFound):
            await self._services.client.merge_patch(
                DATASETS, body, name=view.name, namespace=view.namespace, subresource="status"
            )

    async def _delete(self, versions: Mapping[str, VersionView], decision: Decision) -> None:
        for version in decision.expired:
            each = versions[version]
            if not self._services.is_leader():
                raise NotLeading
            with suppress(NotFound, Conflict):
                await self._services.client.delete(
                    DATASET_VERSIONS, name=each.name, namespace=each.namespace, uid=each.uid
                )
                self._services.metrics.dataset_versions_expired_total.inc()
                self._services.metrics.dataset_bytes_expired_total.inc(each.bytes)
                logger.info(
                    "deleted a version that retention does not keep",
                    extra={"namespace": each.namespace, "version": each.name},
                )


def retention_of(spec: Mapping[str, Any]) -> Policy | None:
    """The policy of a dataset; None keeps everything.

    Raises:
        ValueError: a duration cannot be read, or nothing says what to keep.
    """
    raw = spec.get("retention")
    if raw is None:
        return None
    keep_last, within = raw.get("keepLast"), raw.get("keepUsedWithin")
    if keep_last is None and within is None:
        raise ValueError("set keepLast, keepUsedWithin, or both")
    return Policy(
        keep_last=keep_last,
        keep_tagged=raw.get("keepTagged", True),
        keep_used_within=parse_duration(within) if within is not None else None,
        grace=parse_duration(raw.get("grace", "24h")),
    )


def shown_tags(tags: list[str]) -> str:
    """Tags in one line of bounded length."""
    text = ", ".join(tags)
    return text if len(text) <= _SHOWN_TAGS else f"{text[: _SHOWN_TAGS - 1]}…"


def _ready(
    view: DatasetView, versions: Mapping[str, VersionView], problem: str
) -> conditions.Condition:
    missing = sorted((tag, v) for tag, v in view.tags.items() if v not in versions)
    if missing:
        named = ", ".join(f"{tag} ({version})" for tag, version in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        return conditions.Condition(
            "Ready",
            "False",
            "TagMissesVersion",
            f"spec.tags names versions that do not exist: {named}{more}. Runs that ask for them "
            f"are refused. List the versions: gradient dataset versions {view.shown_name} -n "
            f"{view.namespace}",
        )
    if problem:
        return conditions.Condition("Ready", "False", "RetentionUnreadable", problem)
    return conditions.Condition("Ready", "True", "Resolved", "")


def _expiring(versions: Mapping[str, VersionView], decision: Decision) -> dict[str, Any] | None:
    times: dict[str, float] = {}
    for name, each in versions.items():
        marked = parse_time(each.status.get("expiresAt"))
        time = decision.marks.get(name, marked)
        if time is not None and name not in decision.expired:
            times[name] = time
    if not times:
        return None
    return {
        "versions": len(times),
        "bytes": sum(versions[name].bytes for name in times),
        "nextAt": format_time(min(times.values())),
    }
