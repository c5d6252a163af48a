"""The kind of cluster follows from what the machine can do, unless somebody says otherwise."""

from __future__ import annotations

import pytest

from hack.cluster import choice
from hack.cluster.choice import Way
from hack.commands import Result
from hack.errors import SetupError

WORKS = Result(0, "fine", "")
FAILS = Result(1, "", "cannot connect")


def machine(*, kind: Result, docker: Result):
    """A runner on a machine where these two programs answer like this."""
    answers = {"kind": kind, "docker": docker}
    return lambda command, *, text=None: answers[command[0]]


BOTH = machine(kind=WORKS, docker=WORKS)


def test_docker_and_kind_are_taken_when_both_work():
    assert choice.decide({}, run=BOTH, local_exists=False) is Way.KIND


@pytest.mark.parametrize(
    "run",
    [
        machine(kind=FAILS, docker=WORKS),
        # A client without an engine: `docker` is there and answers with an error.
        machine(kind=WORKS, docker=FAILS),
        machine(kind=FAILS, docker=FAILS),
    ],
)
def test_plain_processes_are_taken_when_docker_or_kind_does_not_work(run):
    assert choice.decide({}, run=run, local_exists=False) is Way.LOCAL


def test_a_local_cluster_that_exists_is_kept_and_nothing_is_asked():
    def run(command, *, text=None):
        pytest.fail(f"ran {command}")

    assert choice.decide({}, run=run, local_exists=True) is Way.LOCAL


@pytest.mark.parametrize("way", list(Way))
def test_the_environment_decides_before_anything_else(way: Way):
    assert choice.decide({"CLUSTER": way.value}, run=BOTH, local_exists=True) is way


def test_an_unknown_wish_is_refused_with_the_ones_there_are():
    with pytest.raises(SetupError, match="existing, kind, local"):
        choice.decide({"CLUSTER": "minikube"}, run=BOTH, local_exists=False)


def test_the_simulated_cluster_is_plain_processes_even_where_docker_works(monkeypatch):
    monkeypatch.setenv("CLUSTER", "kind")
    cluster = choice.choose("simulated")
    assert isinstance(cluster, choice.LocalCluster)
    assert cluster.profile.simulated
