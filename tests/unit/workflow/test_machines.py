"""Machine types that the hosted service did not have are warned of, with the nearest name."""

import pytest

from gradient_operator.api.machines import NAMES
from gradient_operator.workflow.machines import unknown_machines
from gradient_operator.workflow.validate import parse_file
from tests.builders import make_workflow


def said(name):
    builder = make_workflow().job("a", resources={"instance-type": name})
    return [problem.message for problem in unknown_machines(parse_file(builder.data()))]


@pytest.mark.parametrize("name", ["C4", "P4000", "P4000x2", "A100x8", "V100-32G", "H100x8"])
def test_hosted_names_are_fine(name):
    assert name in NAMES
    assert said(name) == []


@pytest.mark.parametrize("name", ["c4", "p4000X2", "A100-80GB", "A100-80GBx4"])
def test_other_spellings_are_fine(name):
    assert said(name) == []


@pytest.mark.parametrize(
    ("name", "near"),
    [("C4x", "C4"), ("P400", "P4000"), ("A100_80G", "A100-80G"), ("RTX500", "RTX5000")],
)
def test_others_are_warned_of_with_the_nearest(name, near):
    (message,) = said(name)
    assert f"did you mean {near!r}?" in message


def test_what_is_like_no_name_may_be_one_of_the_cluster():
    (message,) = said("metal-cpu")
    assert "a cluster may have types of its own" in message


def test_a_value_of_a_matrix_is_not_known_yet():
    assert said("${{ matrix.machine }}") == []


def test_the_defaults_are_looked_at_too():
    file = parse_file(
        make_workflow(defaults={"resources": {"instance-type": "C55"}}).job("a").data()
    )
    (problem,) = unknown_machines(file)
    assert problem.path == ("defaults", "resources", "instance-type")
    assert problem.severity == "warning"
