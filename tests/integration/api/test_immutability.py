"""What of a run, a version and a model can be changed on a real API server: almost nothing."""

import pytest

from tests.integration.api.objects import job, model, run, version

pytestmark = pytest.mark.integration

FULL = {
    "definition": {"jobs": {"A": job(), "B": job("A")}, "unknown": [1]},
    "policy": {"retries": 1},
    "inputs": {"a": {"value": "1"}},
    "trigger": {"kind": "Manual"},
    "workflow": "w",
    "rerunOf": {"name": "first"},
}
CHANGES = {
    "definition": {"jobs": {"B": {"with": {"script": "false"}}}},
    "policy": {"retries": 2},
    "inputs": {"a": {"value": "2"}},
    "trigger": {"kind": "Spec"},
    "workflow": "v",
    "rerunOf": {"name": "second"},
}


@pytest.fixture(scope="module")
def full(kubectl):
    created = kubectl.create(run("full", **FULL))
    assert created.code == 0, created.text
    return kubectl


@pytest.mark.parametrize("field", CHANGES)
def test_a_run_keeps_what_it_was_started_with(full, field):
    answer = full.patch("gwr/full", {"spec": {field: CHANGES[field]}})
    assert answer.code != 0
    assert f"spec.{field} of a run cannot be changed: make a new run" in answer.text


def test_a_run_under_way_keeps_its_definition_whatever_is_said_of_its_progress(kubectl):
    """The rule passes over the definition where a status moves: that is no way to change it."""
    assert kubectl.create(run("moving")).code == 0
    told = {"status": {"phase": "Running", "progress": "0/1"}}
    assert kubectl.patch("gwr/moving", told, "--subresource=status").code == 0
    changed = {"spec": {"definition": {"jobs": {"B": job()}}}}
    both = changed | {"status": {"progress": "1/1"}}
    for change in (changed, both):
        answer = kubectl.patch("gwr/moving", change)
        assert "spec.definition of a run cannot be changed: make a new run" in answer.text
    assert kubectl.patch("gwr/moving", both, "--subresource=status").code == 0
    found = kubectl.get("gwr/moving")
    assert (set(found["spec"]["definition"]["jobs"]), found["status"]["progress"]) == ({"A"}, "1/1")


def test_a_run_keeps_keys_of_its_definition_that_nobody_knows(full):
    answer = full.patch("gwr/full", {"spec": {"definition": {"unknown": [2]}}})
    assert "spec.definition of a run cannot be changed" in answer.text


@pytest.mark.parametrize("field", ["policy", "inputs", "trigger", "workflow", "rerunOf"])
def test_a_run_keeps_what_it_was_started_with_from_being_taken_away(full, field):
    answer = full.patch("gwr/full", {"spec": {field: None}})
    assert f"spec.{field} of a run cannot be changed: make a new run" in answer.text


@pytest.mark.parametrize("field", ["policy", "inputs", "trigger", "workflow", "rerunOf"])
def test_nothing_is_added_to_a_run_that_was_started_without_it(kubectl, field):
    name = f"bare-{field}".lower()
    assert kubectl.create(run(name)).code == 0
    answer = kubectl.patch(f"gwr/{name}", {"spec": {field: CHANGES[field]}})
    assert f"spec.{field} of a run cannot be changed: make a new run" in answer.text


@pytest.mark.parametrize("first", [{}, {"cancel": False}])
def test_a_run_can_be_cancelled_and_stays_so(kubectl, first):
    name = f"cancelled-{len(first)}"
    assert kubectl.create(run(name, **first)).code == 0
    assert kubectl.patch(f"gwr/{name}", {"spec": {"cancel": True}}).code == 0
    for back in (False, None):
        answer = kubectl.patch(f"gwr/{name}", {"spec": {"cancel": back}})
        assert "a cancelled run cannot go on: make a new run" in answer.text


def test_labels_of_a_run_can_be_changed(full):
    assert full.patch("gwr/full", {"metadata": {"labels": {"team": "vision"}}}).code == 0


def test_a_dataset_version_cannot_be_changed(kubectl):
    assert kubectl.create(version("fixed")).code == 0
    answer = kubectl.patch("gdv/fixed", {"spec": {"files": 2}})
    assert "a dataset version cannot be changed: make a new one" in answer.text


def test_a_registered_model_cannot_be_changed(kubectl):
    assert kubectl.create(model("fixed")).code == 0
    answer = kubectl.patch("gmodel/fixed", {"spec": {"type": "Custom"}})
    assert "a registered model cannot be changed: make a new one" in answer.text
