"""Names that are always the same for the same thing, and always different for another."""

import re

import pytest

from gradient_operator.pods.names import label_value, pod_name, run_name

LABEL = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
BASE = {"workflow": "train", "job": "a", "attempt": 1, "run_uid": "uid"}


def test_a_pods_name_is_readable_and_always_the_same():
    assert pod_name(**BASE) == pod_name(**BASE)
    assert re.fullmatch(r"train-a-1-[a-z2-7]{8}", pod_name(**BASE))


@pytest.mark.parametrize(
    "other",
    [{"attempt": 2}, {"run_uid": "other"}, {"job": "A"}, {"job": "a_"}],
    ids=["the next attempt", "the next run", "another case", "another character"],
)
def test_another_attempt_has_another_name(other):
    assert pod_name(**{**BASE, **other}) != pod_name(**BASE)


@pytest.mark.parametrize("text", ["x" * 63, "Ünïcödé", "___", "a.b_c", ""])
def test_a_pods_name_is_a_hostname(text):
    name = pod_name(workflow=text, job=text, attempt=99, run_uid="uid")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name)


RUN = {"workflow": "w", "workflow_uid": "uid", "spec_hash": "h", "trigger": "Spec", "last": ""}


def test_a_run_that_was_not_recorded_gets_the_same_name_again():
    assert run_name(**RUN) == run_name(**RUN)


@pytest.mark.parametrize("changed", ["workflow_uid", "spec_hash", "trigger", "last"])
def test_a_run_for_another_reason_has_another_name(changed):
    assert run_name(**{**RUN, changed: "other"}) != run_name(**RUN)


def test_a_run_of_a_workflow_with_a_long_name_fits_into_a_label():
    assert len(run_name(**{**RUN, "workflow": "w" * 63})) <= 63


@pytest.mark.parametrize("name", ["Train", "a-b_c.d", "x" * 63, ""])
def test_a_name_that_is_a_label_stays_as_it_is(name):
    assert label_value(name) == name


def test_other_names_become_labels_that_differ():
    names = ["x" * 64, "x" * 65, "train_", "train-", "train.", "-", "my train", "my/train", "é"]
    values = {label_value(name) for name in names}
    assert len(values) == len(names)
    assert all(LABEL.fullmatch(value) for value in values)
