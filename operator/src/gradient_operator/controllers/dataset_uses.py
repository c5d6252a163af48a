"""Which runs read which versions: what is under way now, and what is not yet written down.

A run's pinned inputs are cached only while it is under way. What was seen stays here until the
version's own status holds it, so that lineage and retention outlive the run.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from gradient_operator.controllers.records import RunView

MOST: Final = 16
"""Runs that a version's status names."""

Version = tuple[str, str, str]
"""Namespace, dataset and version id."""


class Uses:
    """Fed by the reflector of runs, asked by the controller of datasets."""

    def __init__(self) -> None:
        self._active: dict[tuple[str, str], frozenset[Version]] = {}
        self._seen: dict[Version, dict[str, float]] = {}
        self._readers: dict[Version, set[tuple[str, str]]] = {}

    def note(self, run: RunView | None, *, gone: RunView | None = None) -> set[tuple[str, str]]:
        """Take a run's change over; answers which datasets should be looked at."""
        view = run or gone
        if view is None:
            return set()
        key = (view.namespace, view.name)
        before = self._active.get(key, frozenset())
        now = frozenset(_pins(view)) if run is not None and not run.final else frozenset()
        if now:
            self._active[key] = now
        else:
            self._active.pop(key, None)
        for version in now - before:
            self._readers.setdefault(version, set()).add(key)
            self._seen.setdefault(version, {})["/".join(key)] = view.created_at or 0.0
        for version in before - now:
            readers = self._readers.get(version, set())
            readers.discard(key)
            if not readers:
                self._readers.pop(version, None)
        return {(namespace, dataset) for namespace, dataset, _ in now ^ before}

    def under_way(self, version: Version) -> bool:
        """Whether a run that has not ended needs the version."""
        return version in self._readers

    def seen(self, version: Version) -> Mapping[str, float]:
        """Runs that read the version and are not written down yet, with when they were made."""
        return self._seen.get(version, {})

    def written(self, version: Version, runs: Iterable[str]) -> None:
        """The version's status holds these runs now."""
        seen = self._seen.get(version)
        if seen is None:
            return
        for run in runs:
            seen.pop(run, None)
        if not seen:
            del self._seen[version]


def _pins(run: RunView) -> Iterable[Version]:
    for item in (run.status.get("inputs") or {}).values():
        yield item["namespace"], item["dataset"], item["version"]
