from hypothesis import given
from hypothesis import strategies as st

from gradient_operator.cli.patch import merge_patch, without_nulls
from tests.unit.cli.fake import merged

VALUES = st.recursive(
    st.integers(0, 3) | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES)


@given(OBJECTS, OBJECTS)
def test_applying_the_patch_gives_the_new_object(old, new):
    old, new = without_nulls(old), without_nulls(new)
    assert merged(old, merge_patch(old, new)) == new


@given(OBJECTS)
def test_nothing_to_change_is_an_empty_patch(value):
    assert merge_patch(value, value) == {}
