"""How uploads and sweeps keep out of each other's way, without a lock.

A sweep announces itself by an object, then marks once more, deletes for a bounded time, and takes
the object away. An upload that has written its manifest looks for such objects:

* It sees none. Then a sweep that begins later marks after that, sees the manifest, which is young,
  and spares everything that it names.
* It sees one. Then it waits until that sweep is over: gone, or certainly past its time.

After that it asks for every blob that the version needs, and sends again what is missing. So a
blob that was reused just before it was deleted is noticed, whatever the order of events. This rests
on a storage that shows a finished write to every later read and list, as S3 does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from gradient_operator.datasets.backend import REQUEST_SECONDS
from gradient_operator.datasets.layout import GC_SWEEPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradient_operator.datasets.store import BlobStore

SWEEP_SECONDS: Final = 60.0
"""A sweep sends no deletion later than this after it announced itself."""
LONGEST_WAIT_SECONDS: Final = SWEEP_SECONDS + REQUEST_SECONDS + 20.0
"""After this the last deletion of a sweep that was seen has been answered or given up."""
_POLL_SECONDS: Final = 0.5


def wait_for_sweeps(store: BlobStore, *, clock: Callable[[], float] = time.monotonic) -> None:
    """Return when no sweep that is going on now can delete anything any more.

    Raises:
        StorageError: the storage does not answer or refuses us.
    """
    waiting = {info.key for info in store.list_few(GC_SWEEPS)}
    end = clock() + LONGEST_WAIT_SECONDS
    while waiting and clock() < end:
        store.cancellation.pause(_POLL_SECONDS)
        waiting &= {info.key for info in store.list_few(GC_SWEEPS)}
