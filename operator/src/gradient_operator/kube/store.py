"""What a reflector believes to exist: what the watch said, and what our own writes promise.

A write's answer arrives before the watch confirms it; planning on the watch alone would do the
same work twice. So an answer may be assumed. An assumption yields to the watch as soon as the
watch has caught up, and ends by itself after a minute. Pure bookkeeping: no I/O.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

ASSUMPTION_LIFE: Final = 60.0
"""Seconds for which an assumption holds without the watch confirming it."""
TOMBSTONE_LIFE: Final = 300.0
"""Seconds for which the UID of a deleted object is remembered, against late answers."""

Key = tuple[str, str]
"""Namespace (empty for kinds of the cluster) and name."""


class Projection(Protocol):
    """The few fields of an object that are kept; equal projections mean that nothing changed.

    `resource_version` must not take part in the comparison, or every change counts.
    """

    @property
    def uid(self) -> str:
        """`metadata.uid`."""

    @property
    def namespace(self) -> str:
        """`metadata.namespace`, empty for kinds of the cluster."""

    @property
    def name(self) -> str:
        """`metadata.name`."""

    @property
    def resource_version(self) -> str:
        """`metadata.resourceVersion`."""


R = TypeVar("R", bound=Projection)


@dataclass(slots=True)
class _Assumption(Generic[R]):
    """What a write promised (None: deletion), and what the watch still says of the same key."""

    record: R | None
    watched: R | None
    expires: float


class Store(Generic[R]):
    """The objects of one kind by key; tells `on_change(old, new)` when one visibly changed.

    An exception from `on_change` is logged and goes no further: the others must still be seen.
    """

    def __init__(
        self,
        on_change: Callable[[R | None, R | None], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_change = on_change
        self._clock = clock
        self._items: dict[Key, R] = {}
        self._assumed: dict[Key, _Assumption[R]] = {}
        self._expiries: deque[tuple[float, Key, _Assumption[R]]] = deque()
        self._tombstones: dict[str, float] = {}
        self._progress = ""
        """The version up to which the watch has told everything."""
        self.items: Mapping[Key, R] = MappingProxyType(self._items)

    def observe(self, new: R) -> None:
        """The watch, or a list, shows `new`."""
        key = (new.namespace, new.name)
        assumption = self._assumed.get(key)
        if assumption is None and _older(new, self._items.get(key)):
            return
        if assumption is not None and not self._confirms(new, assumption):
            assumption.watched = new
            return
        self._assumed.pop(key, None)
        # The watch keeps the order of events: what it shows lives, also if it was gone before,
        # as an object is that lost the selected label and got it back.
        self._tombstones.pop(new.uid, None)
        self._replace(key, new)

    def remove(self, key: Key, uid: str) -> None:
        """The watch says that the object with `uid` is gone."""
        self._bury(uid)
        assumption = self._assumed.get(key)
        if assumption is not None:
            assumption.watched = None
            if assumption.record is not None and assumption.record.uid != uid:
                return  # a namesake that we have just made lives on
            del self._assumed[key]
        if _uid(self._items.get(key)) == uid:
            self._show(key, None)

    def retain(self, keys: set[Key], version: str) -> None:
        """A complete list, taken at `version`, holds `keys` and no others: drop the rest."""
        for key, record in list(self._items.items()):
            if key in keys:
                continue
            assumption = self._assumed.get(key)
            if assumption is not None and _newer(record.resource_version, version):
                assumption.watched = None  # made after the list was taken
            else:
                self.remove(key, record.uid)
        for key, assumption in list(self._assumed.items()):
            if assumption.record is None and key not in keys:
                self.remove(key, _uid(assumption.watched))
        self.advance(version)

    def advance(self, version: str) -> None:
        """The watch has told everything up to `version`."""
        self._progress = version

    def assume(self, record: R) -> None:
        """A write of ours was answered with `record`: show it until the watch has caught up.

        An answer that comes later than the watch's own news of it is ignored. A record of the
        version that is shown already may differ in what only we know, as that it is being deleted.
        """
        key = (record.namespace, record.name)
        shown = self._items.get(key)
        if record.uid in self._tombstones or _older(record, shown):
            return
        hidden = self._assumed.get(key)
        if hidden is not None and hidden.record is None and _uid(hidden.watched) == record.uid:
            return
        known = shown is not None and shown.uid == record.uid
        if not known and _reached(self._progress, record.resource_version):
            return  # the watch has passed that version, and the object is gone again
        self._assume(key, record)

    def assume_deleted(self, record: R) -> None:
        """A deletion of ours took effect at once: hide the object until the watch confirms it.

        Not for a graceful deletion, after which the object still lives: assume its projection
        with the deletion marked instead.
        """
        key = (record.namespace, record.name)
        if _uid(self._items.get(key)) == record.uid:
            self._assume(key, None)

    def expire(self) -> None:
        """End assumptions and tombstones whose time is over; call it every second or so."""
        now = self._clock()
        while self._expiries and self._expiries[0][0] <= now:
            _, key, assumption = self._expiries.popleft()
            if self._assumed.get(key) is assumption:
                del self._assumed[key]
                logger.warning("the watch never confirmed a write", extra={"object": "/".join(key)})
                watched = assumption.watched
                self._show(key, None if _uid(watched) in self._tombstones else watched)
        while self._tombstones:
            uid, until = next(iter(self._tombstones.items()))
            if until > now:
                break
            del self._tombstones[uid]

    def _assume(self, key: Key, record: R | None) -> None:
        before = self._assumed.get(key)
        watched = before.watched if before is not None else self._items.get(key)
        expires = self._clock() + ASSUMPTION_LIFE
        assumption = _Assumption(record, watched, expires)
        self._assumed[key] = assumption
        self._expiries.append((expires, key, assumption))
        self._replace(key, record)

    def _confirms(self, new: R, assumption: _Assumption[R]) -> bool:
        """Whether the watch, showing `new`, has caught up with what was assumed."""
        if assumption.record is not None:
            return not _older(new, assumption.record)
        return _uid(assumption.watched) != new.uid

    def _bury(self, uid: str) -> None:
        self._tombstones.pop(uid, None)  # to the end: the dict stays in the order of expiry
        self._tombstones[uid] = self._clock() + TOMBSTONE_LIFE

    def _replace(self, key: Key, new: R | None) -> None:
        """Show `new`; a namesake with another UID that was shown exists no more."""
        old = self._items.get(key)
        if old is not None and new is not None and old.uid != new.uid:
            self._bury(old.uid)
        self._show(key, new)

    def _show(self, key: Key, new: R | None) -> None:
        old = self._items.get(key)
        if new is None:
            self._items.pop(key, None)
        else:
            self._items[key] = new
        if old is not None and new is not None and old.uid != new.uid:
            self._tell(old, None)  # another object under the same name
            old = None
        if old != new:
            self._tell(old, new)

    def _tell(self, old: R | None, new: R | None) -> None:
        try:
            self._on_change(old, new)
        except Exception:
            logger.exception("a change could not be handed on")


def _uid(record: Projection | None) -> str:
    return "" if record is None else record.uid


def _older(new: Projection, stored: Projection | None) -> bool:
    """Whether `new` is surely older than what is stored."""
    return stored is not None and _newer(stored.resource_version, new.resource_version)


def _newer(version: str, other: str) -> bool:
    """Compare versions; those that are no integers cannot be compared, then the last counts."""
    return version.isdecimal() and other.isdecimal() and int(version) > int(other)


def _reached(progress: str, version: str) -> bool:
    return progress.isdecimal() and version.isdecimal() and int(progress) >= int(version)
