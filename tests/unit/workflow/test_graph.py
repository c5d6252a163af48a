"""The order of jobs, and the circle that forbids one."""

import pytest

from gradient_operator.workflow.graph import ancestors, find_cycle, order

DIAMOND = {"d": ["b", "c"], "b": ["a"], "c": ["a"], "a": []}


def test_every_job_stands_after_its_needs():
    assert order(DIAMOND) == ["a", "b", "c", "d"]


def test_independent_jobs_keep_the_order_of_the_file():
    assert order({"z": [], "y": [], "x": []}) == ["z", "y", "x"]


@pytest.mark.parametrize(
    ("needs", "cycle"),
    [
        ({"a": ["a"]}, ["a"]),
        ({"a": ["b"], "b": ["a"]}, ["a", "b"]),
        ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, ["a", "b", "c"]),
        ({"free": [], "a": ["free", "b"], "b": ["a"]}, ["a", "b"]),
        (DIAMOND, []),
        ({}, []),
    ],
    ids=["itself", "two", "behind a tail", "beside others", "diamond", "empty"],
)
def test_a_circle_is_found_and_only_a_circle(needs, cycle):
    assert find_cycle(needs) == cycle


def test_a_long_chain_needs_no_deep_stack():
    chain = {f"j{number}": [f"j{number - 1}"] if number else [] for number in range(5_000)}
    assert len(order(chain)) == 5_000
    assert len(ancestors(chain, "j4999")) == 4_999


def test_ancestors_are_direct_and_indirect():
    assert ancestors(DIAMOND, "d") == {"a", "b", "c"}
    assert ancestors(DIAMOND, "a") == set()
