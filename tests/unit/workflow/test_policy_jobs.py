"""`policy.jobs` speaks of jobs of the file, or is refused; wherever a policy is read."""

import pytest

from gradient_operator.workflow.check import check
from gradient_operator.workflow.model import Refused
from tests.builders import make_workflow


def said(builder, **jobs):
    with pytest.raises(Refused) as caught:
        check(builder.data() | {"policy": {"jobs": jobs}})
    return [(str(problem), problem.rule) for problem in caught.value.problems]


def test_an_entry_for_no_job_is_refused_with_the_nearest():
    builder = make_workflow().job("train").job("test")
    sentence = "policy.jobs.trian: is not a job of the file; did you mean 'train'?"
    assert said(builder, train={}, trian={"reuse": True}) == [(sentence, "unknown-job-name")]


def test_what_else_is_wrong_is_said_with_it():
    found = said(make_workflow().job("a").needs("b"), c={})
    assert [rule for _, rule in found] == ["unknown-need", "unknown-job-name"]


def test_combinations_share_the_entry_of_their_job():
    builder = make_workflow().job("train").put("strategy", {"matrix": {"n": [1, 2]}})
    checked = check(builder.data() | {"policy": {"jobs": {"train": {"reuse": True}}}})
    assert checked.warnings == ()
    assert said(builder, **{"train-1": {}})[0][0].endswith("did you mean 'train'?")
