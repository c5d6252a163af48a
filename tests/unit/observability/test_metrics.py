import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gradient_operator.observability.metrics import PREFIX, Metrics
from gradient_operator.observability.requests import RequestCounter

UNITS = ("seconds", "bytes", "ratio")
NAMES_OF_OBJECTS = {"workflow", "run", "job", "pod", "dataset", "uid", "attempt", "node", "image"}


def families():
    return list(Metrics().registry.collect())


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_a_metric_follows_the_naming_rules(family):
    assert family.name.startswith(PREFIX)
    assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name)
    assert family.documentation.endswith(".")
    assert len(family.documentation) > 15
    bare = family.name.removeprefix(PREFIX)
    if "Time " in family.documentation or "Pauses" in family.documentation:
        assert bare.endswith("_seconds")
    for wrong in ("_ms", "_milliseconds", "_minutes", "_kb", "_mb", "_count", "_sum", "_bucket"):
        assert not bare.endswith(wrong)
    if family.type == "histogram":
        assert bare.endswith((*UNITS, "_files"))
    if family.type == "counter":
        assert not bare.endswith("_total")  # the family's name is without it, the sample's with


@pytest.mark.parametrize("metric", list(Metrics.__slots__[1:]))
def test_a_field_is_called_as_its_metric(metric):
    made = getattr(Metrics(), metric)
    (family,) = made.collect()
    suffix = "_total" if family.type == "counter" else ""
    assert PREFIX + metric == family.name + suffix


@pytest.mark.parametrize("metric", list(Metrics.__slots__[1:]))
def test_no_object_of_a_user_names_a_series(metric):
    labels = set(getattr(Metrics(), metric)._labelnames)
    assert not labels & NAMES_OF_OBJECTS
    assert len(labels) <= 3


def test_what_dashboards_need_is_there():
    names = {PREFIX + name for name in Metrics.__slots__[1:]}
    wanted = (
        "runs runs_finished_total job_duration_seconds job_wait_creation_seconds "
        "job_wait_scheduling_seconds job_wait_start_seconds job_failures_total job_retries_total "
        "gpu_seconds_total dataset_commit_seconds dataset_commit_bytes dataset_commit_files "
        "dataset_commit_failures_total reaction_seconds reconcile_duration_seconds "
        "api_requests_total api_request_duration_seconds workqueue_depth "
        "reflector_last_event_age_seconds reflector_relists_total status_writes_total leader "
        "event_loop_lag_seconds gc_pause_seconds build_info"
    )
    assert {PREFIX + name for name in wanted.split()} <= names


def test_every_metric_can_be_scraped_once_it_has_a_value():
    metrics = Metrics()
    for name in Metrics.__slots__[1:]:
        metric = getattr(metrics, name)
        child = metric.labels(*["x"] * len(metric._labelnames)) if metric._labelnames else metric
        (getattr(child, "observe", None) or child.inc)(1)
    text = generate_latest(metrics.registry).decode()
    parsed = {family.name for family in text_string_to_metric_families(text)}
    assert len(parsed) >= len(Metrics.__slots__) - 1


def test_two_sets_of_metrics_do_not_meet():
    one, two = Metrics(), Metrics(CollectorRegistry())
    one.runs.labels("Running").set(3)
    assert two.registry.get_sample_value(f"{PREFIX}runs", {"phase": "Running"}) is None


def test_requests_are_counted_by_verb_kind_and_code():
    metrics = Metrics()
    count = RequestCounter(metrics)
    for code in (200, 200, 0):
        count("get", "pods", code, 0.25)
    value = metrics.registry.get_sample_value
    labels = {"verb": "get", "resource": "pods"}
    assert value(f"{PREFIX}api_requests_total", {**labels, "code": "200"}) == 2
    assert value(f"{PREFIX}api_requests_total", {**labels, "code": "0"}) == 1
    assert value(f"{PREFIX}api_request_duration_seconds_sum", labels) == 0.75
