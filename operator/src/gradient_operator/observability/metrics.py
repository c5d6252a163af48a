"""All metrics of the operator, in one place: names, help, labels, buckets.

Dashboards and alerts select by these names: a changed one is a change of the interface. Labels
are few and bounded; no workflow, run, job, Pod or dataset name may stand in one.
"""
# ruff: noqa: RUF009 - the calls describe fields, as `dataclasses.field` itself does

from dataclasses import dataclass, field, fields
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

PREFIX: Final = "gradient_operator_"

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds: requests, queue times, reactions."""
_WAITS: Final = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400)
"""Seconds: what a person waits for: a machine, an image, a free GPU."""
_JOBS: Final = (1, 5, 15, 30, 60, 300, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400, 259_200)
"""Seconds: from a smoke test to three days of training."""
_PAUSES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_BYTES: Final = tuple(4**power * 1_048_576 for power in range(10))
"""1 MiB to 256 GiB."""
_FILES: Final = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)


def _counter(text: str, *labels: str) -> Any:
    return field(init=False, metadata={"make": Counter, "help": text, "labels": labels})


def _gauge(text: str, *labels: str) -> Any:
    return field(init=False, metadata={"make": Gauge, "help": text, "labels": labels})


def _histogram(text: str, *labels: str, buckets: tuple[float, ...] = _FAST) -> Any:
    metadata = {"make": Histogram, "help": text, "labels": labels, "more": {"buckets": buckets}}
    return field(init=False, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Every metric; a field's name with the prefix `gradient_operator_` is the metric's name.

    `Metrics()` registers them all in a registry of its own, so that tests do not meet each other.
    """

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    # Runs and jobs: what users notice.
    runs: Gauge = _gauge("Runs that exist, by phase.", "phase")
    runs_finished_total: Counter = _counter("Runs that ended, by result.", "result")
    run_wait_concurrency_seconds: Histogram = _histogram(
        "Time that a run waited for its turn in its concurrency group.", buckets=_WAITS
    )
    job_duration_seconds: Histogram = _histogram(
        "Time from a job's start to its end.", "instance_type", "result", buckets=_JOBS
    )
    job_wait_creation_seconds: Histogram = _histogram(
        "Time from the end of a job's last need to the creation of its Pod.", buckets=_WAITS
    )
    job_wait_scheduling_seconds: Histogram = _histogram(
        "Time from the creation of a job's Pod to its assignment to a node.",
        "instance_type",
        buckets=_WAITS,
    )
    job_wait_start_seconds: Histogram = _histogram(
        "Time from the assignment to a node to the start of the job's container.",
        "instance_type",
        buckets=_WAITS,
    )
    job_failures_total: Counter = _counter("Attempts of jobs that failed, by class.", "class")
    job_retries_total: Counter = _counter("Attempts that followed a failed one, by class.", "class")
    gpu_seconds_total: Counter = _counter(
        "GPU time of finished attempts, as requested by their machine type.",
        "namespace",
        "instance_type",
        "kind",
    )

    # Datasets.
    dataset_commit_seconds: Histogram = _histogram(
        "Time that an upload and its commit took.", buckets=_WAITS
    )
    dataset_commit_bytes: Histogram = _histogram(
        "Size of committed dataset versions.", buckets=_BYTES
    )
    dataset_commit_files: Histogram = _histogram(
        "Files in committed dataset versions.", buckets=_FILES
    )
    dataset_commit_failures_total: Counter = _counter(
        "Dataset versions that could not be committed, by reason.", "reason"
    )
    transfer_bytes_total: Counter = _counter(
        "Bytes of files that Pods fetched and uploaded, by direction.", "direction"
    )
    transfer_files_total: Counter = _counter(
        "Files that Pods fetched and uploaded, by direction.", "direction"
    )
    transfer_seconds_total: Counter = _counter(
        "Time that Pods spent fetching and uploading, by direction.", "direction"
    )
    transfers_under_way: Gauge = _gauge("Pods that fetch or upload now, by direction.", "direction")
    transfer_under_way_bytes: Gauge = _gauge(
        "Bytes done by the transfers that go on now and have lasted 15 s, by direction.",
        "direction",
    )
    transfer_under_way_expected_bytes: Gauge = _gauge(
        "Bytes that the same transfers have to do, as far as they know, by direction.",
        "direction",
    )
    blob_cache_requests_total: Counter = _counter(
        "Objects that Pods looked for in the caches of their nodes, by result.", "result"
    )
    blob_cache_bytes_total: Counter = _counter("Bytes that came from the caches of nodes.")
    dataset_versions_expired_total: Counter = _counter("Dataset versions deleted by retention.")
    dataset_bytes_expired_total: Counter = _counter(
        "Bytes of files in dataset versions deleted by retention, shared ones counted each time."
    )

    mirror_failures_total: Counter = _counter(
        "Failed attempts to mirror names and tags of datasets into the bucket, for recovery."
    )

    history_deleted_runs_total: Counter = _counter("Ended runs deleted by the limits of history.")
    archived_runs_total: Counter = _counter("Ended runs written into the archive.")
    archive_failures_total: Counter = _counter("Failed attempts to archive a run.")
    archive_waiting_runs: Gauge = _gauge("Runs beyond the limits that stay until archived.")

    storage_objects: Gauge = _gauge(
        "Objects in a bucket at its last collection, by state.", "namespace", "provider", "state"
    )
    storage_bytes: Gauge = _gauge(
        "Bytes in a bucket at its last collection, by state.", "namespace", "provider", "state"
    )
    storage_collected_timestamp_seconds: Gauge = _gauge(
        "When the last collection of a bucket ended well.", "namespace", "provider"
    )
    storage_collection_failed: Gauge = _gauge(
        "1 if the last collection of a bucket failed, else 0.", "namespace", "provider"
    )

    # Reconciling.
    reaction_seconds: Histogram = _histogram(
        "Time from noticing that a job became ready to the request that creates its Pod."
    )
    reconcile_duration_seconds: Histogram = _histogram(
        "Time that one look at an object took.", "controller", "result"
    )
    status_writes_total: Counter = _counter("Writes of an object's status.", "kind", "result")
    events_posted_total: Counter = _counter("Kubernetes Events written.", "type")
    events_dropped_total: Counter = _counter(
        "Kubernetes Events that were not written, by reason.", "reason"
    )

    # Requests to the API server.
    api_requests_total: Counter = _counter(
        "Requests to the API server; code 0 means that no answer came.", "verb", "resource", "code"
    )
    api_request_duration_seconds: Histogram = _histogram(
        "Time until the API server had answered a request.", "verb", "resource"
    )

    # The work queue, named as client-go names its own.
    workqueue_depth: Gauge = _gauge("Keys that wait for a worker.", "name")
    workqueue_adds_total: Counter = _counter("Keys added that did not wait yet.", "name")
    workqueue_queue_duration_seconds: Histogram = _histogram(
        "Time that a key waited for a worker.", "name"
    )
    workqueue_work_duration_seconds: Histogram = _histogram(
        "Time that a worker took for a key.", "name"
    )
    workqueue_unfinished_work_seconds: Gauge = _gauge(
        "Time that the keys at work have taken so far, together.", "name"
    )
    workqueue_longest_running_processor_seconds: Gauge = _gauge(
        "Time that the longest running worker has taken so far.", "name"
    )
    workqueue_oldest_key_age_seconds: Gauge = _gauge(
        "Time that the longest waiting key has waited.", "name"
    )
    workqueue_retries_total: Counter = _counter("Keys that came back after a failure.", "name")

    # Reflectors: the caches and their watches.
    reflector_items: Gauge = _gauge("Objects in the cache.", "resource")
    reflector_events_total: Counter = _counter("Events that the watch delivered.", "resource")
    reflector_last_event_age_seconds: Gauge = _gauge(
        "Time since the watch last delivered anything.", "resource"
    )
    reflector_relists_total: Counter = _counter(
        "Lists of everything, by what made them necessary.", "resource", "reason"
    )
    reflector_reconnects_total: Counter = _counter(
        "Watches that ended and were opened again, by what ended them.", "resource", "reason"
    )

    # The process.
    leader: Gauge = _gauge("1 while this process is the active operator, else 0.")
    event_loop_lag_seconds: Gauge = _gauge("How late the event loop served its last timer.")
    gc_pause_seconds: Histogram = _histogram(
        "Pauses by the garbage collector.", "generation", buckets=_PAUSES
    )
    log_records_dropped_total: Counter = _counter("Log records lost because output was stuck.")
    build_info: Gauge = _gauge("1; the labels say what is running.", "version", "python")

    def __post_init__(self) -> None:
        for metric in fields(self)[1:]:
            spec = metric.metadata
            made = spec["make"](
                PREFIX + metric.name,
                spec["help"],
                spec["labels"],
                registry=self.registry,
                **spec.get("more", {}),
            )
            object.__setattr__(self, metric.name, made)  # the dataclass is frozen from here on
