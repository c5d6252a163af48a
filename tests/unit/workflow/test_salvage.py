"""What is wrong with the needs is said beside what is wrong with shapes, and nothing invented."""

import pytest

from gradient_operator.workflow.check import check
from gradient_operator.workflow.model import Refused
from tests.builders import make_workflow


def rules(builder):
    with pytest.raises(Refused) as caught:
        check(builder.data())
    return [problem.rule for problem in caught.value.problems]


def two():
    return make_workflow().job("a").makes("v", "volume").job("b").needs("A")


def test_a_misspelt_need_is_said_beside_unknown_keys():
    builder = two()
    builder.top["name"] = "x"
    assert rules(builder.put("steps", [])) == [
        "github-actions-key",
        "github-actions-key",
        "unknown-need",
    ]


def test_wrong_values_in_lists_are_left_out_one_by_one():
    builder = make_workflow().job("a").container(args=[1, "x", 2]).job("b").needs("c")
    assert rules(builder) == ["wrong-value", "wrong-value", "unknown-need"]


def test_what_may_follow_from_a_misspelt_key_is_not_said():
    builder = make_workflow().job("a", ouputs={"v": {"type": "volume"}})
    builder.job("b").needs("a").takes("v", "a.outputs.v")
    assert rules(builder) == ["unknown-key"]


def test_where_a_part_is_missing_its_block_is_left_out():
    builder = make_workflow().job("a").takes("v", {"with": {"ref": "cats"}}).needs("b")
    assert rules(builder) == ["wrong-value", "unknown-need"]


def test_a_job_that_is_not_understood_may_still_be_needed():
    shared = {"name": "x", "uses": "script@v1"}
    builder = make_workflow().job("a").job("b").needs("a")
    builder.jobs |= {"a": None, "c": shared, "d": shared}
    assert "unknown-need" not in rules(builder)


def test_a_file_of_which_nothing_is_left_has_its_own_problems_only():
    assert rules(make_workflow(jobs=3)) != []
    with pytest.raises(Refused):
        check({"jobs": None, "on": 3})
