from __future__ import annotations

import hashlib
import itertools
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from gradient_operator.datasets.backend import ObstoreBackend, translate
from gradient_operator.datasets.errors import (
    BlobCorruptError,
    BlobMissingError,
    CancelledError,
    StorageError,
    StorageRefusedError,
    StorageUnavailableError,
)
from gradient_operator.datasets.layout import FORMAT_KEY
from gradient_operator.datasets.pool import Cancellation
from gradient_operator.datasets.store import HEAD_FIRST_BYTES, BlobStore, RetryPolicy
from tests.unit.datasets.trees import conflict_first, fail_first, faulty_store

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = bytes(HEAD_FIRST_BYTES)


def test_blob_is_written_once(store: BlobStore) -> None:
    assert store.add("v1/a", b"one")
    assert not store.add("v1/a", b"two")
    assert bytes(store.get("v1/a")) == b"one"
    assert bytes(store.get("v1/a", (1, 3))) == b"ne"
    assert store.size("v1/a") == 3
    assert store.size("v1/b") is None


def test_keys_stand_below_the_prefix(store: BlobStore) -> None:
    store.put("v1/x/a", b"1")
    store.put("v1/y/b", b"22")

    assert [(info.key, info.size) for info in store.list("v1/x")] == [("v1/x/a", 1)]
    assert store.size("team/data/v1/x/a") is None


def test_missing_object_is_an_error_of_its_own(store: BlobStore) -> None:
    with pytest.raises(BlobMissingError, match="v1/none"):
        store.get("v1/none")
    with pytest.raises(BlobMissingError):
        store.spool("v1/none", limit=10)


def test_large_blob_that_is_there_is_not_sent(backend: ObstoreBackend) -> None:
    store, seen = faulty_store(backend)

    assert store.add("a", LARGE)
    assert not store.add("a", LARGE)

    assert seen.count("create") == 1


def test_blob_of_another_size_is_replaced(backend: ObstoreBackend) -> None:
    store, _ = faulty_store(backend)
    store.put("small", b"trunc")
    store.put("large", LARGE[:-1])

    assert store.add("small", b"truncated")
    assert store.add("large", LARGE)

    assert bytes(store.get("small")) == b"truncated"
    assert store.size("large") == len(LARGE)


def test_conflict_without_an_object_writes_again_without_condition(
    backend: ObstoreBackend,
) -> None:
    store, seen = faulty_store(backend, on_call=conflict_first(1))

    assert store.add("a", b"data")

    assert bytes(store.get("a")) == b"data"
    assert seen.count("put") == 1


def test_conflict_with_the_object_in_place_is_success(backend: ObstoreBackend) -> None:
    store, seen = faulty_store(backend, on_call=conflict_first(1))
    backend.put("a", b"data", create=False)

    assert not store.add("a", b"data")
    assert seen.count("put") == 0


@pytest.mark.parametrize("operation", ["put", "get", "size", "stream"])
def test_unavailable_storage_is_tried_again(backend: ObstoreBackend, operation: str) -> None:
    backend.put("a", b"data", create=False)
    store, seen = faulty_store(
        backend,
        on_call=fail_first(3, operation=operation),
        retry=RetryPolicy(first_delay=0.0001, elapsed=30),
    )
    call = {
        "put": lambda: store.put("a", b"data"),
        "get": lambda: store.get("a"),
        "size": lambda: store.size("a"),
        "stream": lambda: store.spool("a", limit=10).close(),
    }[operation]

    call()

    assert seen.count(operation) == 4


def test_retries_end(backend: ObstoreBackend) -> None:
    store, seen = faulty_store(backend, on_call=fail_first(10**9))

    with pytest.raises(StorageUnavailableError):
        store.get("a")
    assert len(seen.calls) > 1


def test_deadline_ends_retries_of_a_patient_store(backend: ObstoreBackend) -> None:
    store, seen = faulty_store(
        backend,
        on_call=fail_first(10**9),
        retry=RetryPolicy(elapsed=float("inf"), deadline=0.0),
    )

    with pytest.raises(StorageUnavailableError):
        store.get("a")
    assert len(seen.calls) == 1


def test_refusal_is_not_tried_again(backend: ObstoreBackend) -> None:
    def refuse(_operation: str, _key: str) -> None:
        raise StorageRefusedError("no")

    store, seen = faulty_store(backend, on_call=refuse)

    with pytest.raises(StorageRefusedError):
        store.put("a", b"")
    assert len(seen.calls) == 1


def test_cancellation_ends_a_pause(backend: ObstoreBackend) -> None:
    failed = threading.Event()

    def fail(_operation: str, _key: str) -> None:
        failed.set()
        raise StorageUnavailableError("injected")

    cancellation = Cancellation()
    slow = RetryPolicy(first_delay=3600, longest_delay=3600, elapsed=float("inf"))
    store, _ = faulty_store(backend, on_call=fail)
    store = store.with_retry(slow, cancellation)
    canceller = threading.Thread(target=lambda: failed.wait() and cancellation.cancel())
    canceller.start()

    with pytest.raises(CancelledError):
        store.get("a")
    canceller.join()


def test_delays_grow_and_are_bounded() -> None:
    policy = RetryPolicy(first_delay=1, longest_delay=8)

    assert all(0.5 <= policy.delay(0) <= 1 for _ in range(50))
    assert all(4 <= policy.delay(attempt) <= 8 for attempt in (3, 50, 5000))


def test_verified_read_forgives_one_damaged_transfer(backend: ObstoreBackend) -> None:
    damage = [b"bad!"]
    store, _ = faulty_store(backend, corrupt=lambda _key, data: damage.pop() if damage else data)
    backend.put("a", b"data", create=False)

    found = store.get_verified("a", hashlib.sha256(b"data").hexdigest(), size=4)

    assert bytes(found) == b"data"


def test_verified_read_refuses_other_bytes(store: BlobStore) -> None:
    store.put("a", b"data")
    with pytest.raises(BlobCorruptError, match="object a does not hold"):
        store.get_verified("a", hashlib.sha256(b"other").hexdigest(), size=4)


def test_spool_starts_afresh_after_a_failure(backend: ObstoreBackend) -> None:
    backend.put("a", b"data", create=False)
    broken = [True]

    def break_once(_key: str, data: bytes) -> bytes:
        if broken:
            broken.clear()
            raise StorageUnavailableError("connection lost")
        return data

    store, _ = faulty_store(backend, corrupt=break_once)
    with store.spool("a", limit=4) as file:
        assert file.read() == b"data"


def test_spool_refuses_more_than_its_limit(store: BlobStore) -> None:
    store.put("a", b"data")
    with pytest.raises(BlobCorruptError, match="longer than 3 bytes"):
        store.spool("a", limit=3)


def test_spool_works_without_a_writable_folder(
    store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    store.put("a", b"data")
    with store.spool("a", limit=4) as file:
        assert file.read() == b"data"


def test_format_is_written_once_and_checked(store: BlobStore) -> None:
    assert not store.check_format()
    store.ensure_format()
    assert store.check_format()
    assert bytes(store.get(FORMAT_KEY)) == b'{"layout":1,"segment":16777216}\n'


def test_unknown_format_is_refused(store: BlobStore) -> None:
    store.put(FORMAT_KEY, b'{"layout":2}')
    with pytest.raises(StorageRefusedError) as caught:
        store.ensure_format()
    assert caught.value.reason == "LayoutUnknown"


def s3_error(status: int, code: str = "") -> Exception:
    body = f"<?xml?><Error><Code>{code}</Code></Error>" if code else ""
    return Exception(f"Error performing PUT http://s3/b/k - status code: {status} x: {body}\ndebug")


@pytest.mark.parametrize(
    ("error", "kind", "part"),
    [
        (s3_error(500, "InternalError"), StorageUnavailableError, "InternalError"),
        (s3_error(503, "SlowDown"), StorageUnavailableError, "SlowDown"),
        (s3_error(429), StorageUnavailableError, "429"),
        (s3_error(400, "BadDigest"), StorageUnavailableError, "BadDigest"),
        (s3_error(400, "InvalidRequest"), StorageRefusedError, "InvalidRequest"),
        (s3_error(400, "ExpiredToken"), StorageRefusedError, "session token"),
        (s3_error(301, "PermanentRedirect"), StorageRefusedError, "region"),
        (s3_error(403, "AccessDenied"), StorageRefusedError, "AccessDenied"),
        (s3_error(403, "InvalidAccessKeyId"), StorageRefusedError, "accessKeyId"),
        (s3_error(403, "SignatureDoesNotMatch"), StorageRefusedError, "secretAccessKey"),
        (s3_error(403, "RequestTimeTooSkewed"), StorageRefusedError, "clock"),
        (s3_error(403), StorageRefusedError, "permission"),
        (s3_error(401), StorageRefusedError, "credentials"),
        (s3_error(404, "NoSuchBucket"), StorageRefusedError, "bucket does not exist"),
        (s3_error(404, "NoSuchKey"), BlobMissingError, "does not exist"),
        (FileNotFoundError("gone"), BlobMissingError, "does not exist"),
        (PermissionError("no"), StorageRefusedError, "permission"),
        (Exception("HTTP error: error sending request"), StorageUnavailableError, "runs"),
        (Exception("kind: BadScheme"), StorageRefusedError, "TLS"),
        (Exception("invalid peer certificate: UnknownIssuer"), StorageRefusedError, "TLS"),
    ],
)
def test_errors_become_sentences_of_the_right_kind(
    error: Exception, kind: type[StorageError], part: str
) -> None:
    found = translate(error, key="v1/k", place="bucket 'b' at http://s3")

    assert type(found) is kind
    assert part in str(found)
    assert "bucket 'b' at http://s3" in str(found)
    assert "v1/k" in str(found)
    assert "debug" not in str(found)


class CutBackend:
    """Streams an object, and cuts every connection after so many bytes."""

    def __init__(self, inner: ObstoreBackend, after: int) -> None:
        self.inner, self.after = inner, after
        self.starts: list[int] = []

    def stream(self, key: str, start: int = 0) -> Iterator[bytes]:
        self.starts.append(start)
        data = bytes(self.inner.get(key))[start:]
        for offset in range(0, len(data), 2):
            if offset >= self.after:
                raise StorageUnavailableError("connection lost")
            yield data[offset : offset + 2]


def test_cut_connection_goes_on_where_it_was_cut(backend: ObstoreBackend) -> None:
    backend.put("a", b"0123456789", create=False)
    cut = CutBackend(backend, after=4)
    store = BlobStore(cut, retry=RetryPolicy(first_delay=0.0001, elapsed=30))  # type: ignore[arg-type]

    found = store.get_verified("a", hashlib.sha256(b"0123456789").hexdigest(), size=10)

    assert bytes(found) == b"0123456789"
    assert cut.starts == [0, 4, 8]


def test_patience_counts_from_the_last_progress(
    backend: ObstoreBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(
        "gradient_operator.datasets.store.time", SimpleNamespace(monotonic=lambda: next(seconds))
    )
    backend.put("a", bytes(100), create=False)
    policy = RetryPolicy(first_delay=0.0001, longest_delay=0.0001, elapsed=5)
    store = BlobStore(CutBackend(backend, after=2), retry=policy)  # type: ignore[arg-type]

    assert b"".join(store.stream("a")) == bytes(100)
    assert next(seconds) > 50
