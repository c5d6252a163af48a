"""The rank of a run in a line, and what stops a plan that is outdated."""

from gradient_operator.config import OperatorConfig
from gradient_operator.controllers.records import project_run
from gradient_operator.controllers.run_places import rank_of
from tests.builders import make_workflow


def view(name, created, **policy):
    return project_run(
        {
            "metadata": {
                "uid": name,
                "name": name,
                "namespace": "ns",
                "creationTimestamp": f"2026-01-01T00:00:{created:02}Z",
            },
            "spec": {"definition": make_workflow().job("a").data(), "policy": policy},
        }
    )


def test_runs_stand_by_priority_within_the_namespaces_bound_then_by_age_then_by_name():
    config = OperatorConfig.model_validate({"namespacePolicy": {"maxPriority": 5}})
    runs = [
        view("low", 0, priority=-1),
        view("greedy", 3, priority=900),
        view("high", 2, priority=5),
        view("b", 1),
        view("a", 1),
    ]
    ordered = sorted(runs, key=lambda run: rank_of(config, run))
    assert [run.name for run in ordered] == ["high", "greedy", "a", "b", "low"]
