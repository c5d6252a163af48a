"""Files name machine types in more than one spelling."""

import pytest

from gradient_operator.api.instance_type import InstanceTypeSpec
from gradient_operator.controllers.machine_types import MachineTypes


def known(*names):
    found = MachineTypes()
    for name in names:
        found[name] = InstanceTypeSpec(name=name)
    return found


@pytest.mark.parametrize("name", ["A100-80Gx4", "a100-80gx4", "A100-80GBx4"])
def test_a_type_is_found_by_other_spellings_of_its_name(name):
    types = known("A100-80Gx4", "P4000")
    assert name in types
    assert types[name].name == "A100-80Gx4"


@pytest.mark.parametrize("name", ["A100-80", "A100-80Gx8", "P400", ""])
def test_another_name_is_another_type(name):
    assert name not in known("A100-80Gx4", "P4000")


def test_the_very_name_wins_over_another_spelling():
    types = known("gpu", "GPU", "Gpu")
    assert [types[name].name for name in ("gpu", "GPU", "Gpu")] == ["gpu", "GPU", "Gpu"]


def test_a_type_that_is_gone_is_not_found_by_any_spelling():
    types = known("P4000")
    del types["P4000"]
    assert "p4000" not in types
    assert types.pop("P4000", None) is None
