"""A filter that holds several names in one text would never match."""

import pytest

from tests.builders import make_workflow


def rules(**filters):
    builder = make_workflow(on={"github": filters}).job("a")
    return [(problem.rule, problem.path[2:]) for problem in builder.problems()]


@pytest.mark.parametrize(
    "name", ["main", "feature/new-ai", " main ", "release-[0-9]{1,3}", "^(main|dev, x)$", "v1.2"]
)
def test_one_name_or_a_pattern_is_fine(name):
    assert rules(branches={"only": name}, tags={"include": [name]}) == []


@pytest.mark.parametrize("name", ["main, dev", "main,dev", "main dev"])
def test_several_names_in_one_text_are_refused(name):
    assert rules(branches={"only": name}) == [("several-branches", ("branches", "only"))]
    assert rules(tags={"ignore": ["a", name]}) == [("several-branches", ("tags", "ignore", 1))]
