"""The hint behind "is not known"."""

import pytest

from gradient_operator.workflow.nearest import nearest


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("train", ["Test", "Train"], "did you mean 'Train'?"),
        ("trian", ["Test", "train"], "did you mean 'train'?"),
        ("x", ["a", "b"], "there are a, b"),
        ("x", [], "there is nothing"),
        ("x", list("abcdefghi"), "there are a, b, c, d, e, f, g, h, …"),
    ],
    ids=["case", "letters swapped", "unlike all", "nothing known", "too many to name"],
)
def test_the_nearest_name_is_offered_else_what_there_is(name, known, hint):
    assert nearest(name, known, "there is nothing") == hint
