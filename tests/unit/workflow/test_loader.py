"""What people may write, what they are told where, and that no text from outside can hurt."""

import textwrap

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient_operator.workflow import loader
from gradient_operator.workflow.loader import FileProblem, decode, load


def data(text):
    return load(textwrap.dedent(text), source="f.yaml").data


def problem(text):
    with pytest.raises(FileProblem) as caught:
        load(text, source="f.yaml")
    return caught.value


@pytest.mark.parametrize("key", ["on", "'on'", '"on"', "On", "yes", "NO", "1", "1.5", "2024-01-01"])
def test_keys_are_the_text_as_written(key):
    assert data(f"{key}: 1") == {key.strip("'\""): 1}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"),
        ("No", "No"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("0x1f", 31),
        ("0777", 511),
        ("1_000", 1000),
        ("-1.5", -1.5),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("!!int '3'", 3),
        ("! 1", "1"),
    ],
)
def test_values_read_as_numbers_booleans_or_text(written, value):
    assert data(f"a: {written}") == {"a": value}


@pytest.mark.parametrize("written", ["2024-01-31", "8080:80", "1:30.5", "=", "<<", "1e-4"])
def test_dates_and_numbers_to_base_60_stay_text_as_for_kubectl(written):
    assert data(f"a: {written}") == {"a": written}


def test_scripts_keep_every_character():
    text = "jobs:\r\n  a:\r\n    script: |-\r\n      one \r\n\r\n      \ttwo 🚀\r\n"
    assert data(text)["jobs"]["a"]["script"] == "one \n\n\ttwo 🚀"


def test_merge_keys_bring_in_what_the_mapping_does_not_say_itself():
    read = data(
        """
        first: &first {a: 1, b: 1}
        second: &second {b: 2, c: 2}
        jobs:
          c: 3
          <<: [*first, *second]
        """
    )
    assert read["jobs"] == {"a": 1, "b": 1, "c": 3}


def test_positions_name_lines_and_columns_of_keys_values_and_items():
    text = textwrap.dedent(
        """\
        # comment
        jobs:
          train: &job
            needs: [clone, fetch]
            with:
              args:
                - one
          again: *job
        """
    )
    positions = load(text, source="f.yaml").positions
    assert positions.key_span_at(("jobs", "train")).start == (3, 3)
    assert positions.at(("jobs", "train", "needs", 1)) == (4, 20)
    assert positions.key_span_at(("jobs", "train", "needs", 1)).start == (4, 20)
    assert positions.at(("jobs", "train", "with", "args", 0)) == (7, 11)
    assert positions.at(("jobs", "again")) == (8, 10)
    assert positions.at(("jobs", "again", "needs", 0)) == (4, 13)
    assert positions.at(()) == (2, 1)


def test_positions_of_what_is_missing_are_those_of_the_nearest_part():
    positions = load("jobs:\n  a:\n    uses: x\n", source="f.yaml").positions
    assert positions.at(("jobs", "a", "with", "image")) == (3, 5)
    assert positions.key_span_at(("jobs", "a", "with")).start == (3, 5)
    assert positions.key_span_at(("jobs", "a", "uses")).start == (3, 5)
    assert ("jobs", "a", "uses") in positions
    assert ("jobs", "a", "with") not in positions


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("", (1, 1), "empty"),
        ("# only a comment\n", (1, 1), "empty"),
        ("- a\n", (1, 1), "keys and values"),
        ("a: 1\n---\nb: 2\n", (2, 1), "second document"),
        ("a: 1\nb: 2\na: 3\n", (3, 1), "stands twice, first in line 1"),
        ("a:\n\tb: 1\n", (2, 1), "tab"),
        ("a:\n  b: 1\n \tc: 1\n", (3, 2), "tab"),
        ("a: b: c\n", (1, 5), "quotes"),
        ("a: 'b\nc: d\n", (1, 4), "never closed"),
        ("a: [1, 2\n", (1, 4), "bracket"),
        ("a: @b\n", (1, 4), "into quotes"),
        ("s: |\n  cat <<EOF\nEOF\n", (3, 1), "heredoc"),
        ("a:\n  - b\n c: d\n", (3, 2), "neighbours"),
        ("a: - b\n", (1, 4), "line of its own"),
        ("a: *b\n", (1, 4), "no such mark"),
        ("a: &b [*b]\n", (1, 8), "never ends"),
        ("a: !!python/name:os.system x\n", (1, 4), "tag"),
        ("a: !thing {}\n", (1, 4), "tag"),
        ("[a]: b\n", (1, 1), "a key must be a word"),
        ("a: .nan\n", (1, 4), "out of range"),
        ("a: 9223372036854775808\n", (1, 4), "out of range"),
        (f"a: {'9' * 5000}\n", (1, 4), "as int"),
        ("a: !!int b\n", (1, 4), "as int"),
        ("<<: 1\n", (1, 5), "alias of a mapping"),
        ("a: 1\nb: \x00\n", (2, 4), "U+0000"),
        ("a: 1\n\ufeffb: 2\n", (2, 1), "U+FEFF"),
        ("a: \ud800\n", (1, 4), "U+D800"),
    ],
)
def test_problems_name_their_place_and_the_remedy(text, place, says):
    found = problem(text)
    assert (found.line, found.column) == place
    assert says in found.message
    assert str(found) == f"f.yaml:{place[0]}:{place[1]}: {found.message}"


def test_the_parser_without_libyaml_gives_the_same_failure(monkeypatch):
    monkeypatch.setattr(loader, "_PARSER", yaml.SafeLoader)
    assert data("on: 1") == {"on": 1}
    for text, place in [
        ("a:\n\tb: 1\n", (2, 1)),
        ("a: b: c\n", (1, 5)),
        ("a: 'b\n", (1, 4)),
        ("a: [1, 2\n", (1, 4)),
        ("s: |\n  cat <<EOF\nEOF\n", (3, 1)),
        ("a:\n  - b\n c: d\n", (3, 2)),
    ]:
        found = problem(text)
        assert (found.line, found.column) == place
        assert "no YAML" not in found.message


def test_a_leading_byte_order_mark_is_no_content():
    assert data("\ufeffon: 1") == {"on": 1}


@pytest.mark.parametrize(
    ("raw", "place", "says"),
    [
        ("jobs: {}".encode("utf-16"), (1, 1), "UTF-16"),
        (b"a: 1\nb: \xff", (2, 4), "not UTF-8"),
        ("ä: ".encode() + b"\xe4", (1, 4), "not UTF-8"),
        (b"a" * (loader.MAX_BYTES + 1), (1, 1), "the limit is 1048576"),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_their_place(raw, place, says):
    with pytest.raises(FileProblem) as caught:
        decode(raw, source="f.yaml")
    assert (caught.value.line, caught.value.column) == place
    assert says in caught.value.message


def test_a_text_above_the_limit_is_refused():
    assert "the limit is" in problem("a: " + "x" * loader.MAX_BYTES).message


@pytest.mark.parametrize("bracket", ["[", "{a: ", "- "])
def test_nesting_is_bounded(bracket):
    assert "levels inside each other" in problem("a: \n  " + bracket * 100_000).message


def test_documents_come_one_by_one_and_those_without_content_are_left_out():
    text = "---\na: &a 1\n---\n# nothing\n---\nb: 2\n---\n"
    found = list(loader.load_all(text, source="f.yaml"))
    assert [(each.data, each.begins) for each in found] == [({"a": 1}, (1, 1)), ({"b": 2}, (5, 1))]
    assert data("---\na: 1\n---\n") == {"a": 1}
    assert "no such mark" in problem("a: &a 1\n---\nb: *a\n").message


def test_spans_end_behind_what_they_name():
    text = "jobs:\n  \"a b\": {needs: [c, 'd'] }\n  c: |-\n    text\n"
    positions = load(text, source="f.yaml").positions
    assert positions.key_span_at(("jobs", "a b")) == (2, 3, 2, 8)
    assert positions.span_at(("jobs", "a b", "needs", 0)) == (2, 19, 2, 20)
    assert positions.span_at(("jobs", "a b", "needs", 1)) == (2, 22, 2, 25)
    assert positions.span_at(("jobs", "c")) == (3, 6, 3, 6)
    assert positions.span_at(("jobs", "a b", "with", "x")) == (2, 3, 2, 8)


def test_aliases_that_multiply_are_refused_before_they_grow():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "too large" in problem("\n".join(lines)).message


def test_aliases_of_one_long_text_are_refused_too():
    text = f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 100)}]"
    assert "too large" in problem(text).message


def test_many_small_values_are_refused():
    assert "too large" in problem("a: [" + "x," * 300_000 + "]").message


YAML_PIECES = st.sampled_from(
    [
        *("a", "on", "1", "é", ": ", "- ", "? ", ">\n", "|-\n", "'", '"', "#", "%", "~", ".inf"),
        *("\n", "\r\n", "  ", "\t", "\ufeff", "[", "]", "{", "}", "---", "...", "\n---\n"),
        *("&a ", "*a", "<<: ", "!!int ", "!x "),
    ]
)


def failure(attempt):
    """Where the attempt fails, or None."""
    try:
        attempt()
    except FileProblem as found:
        return found
    return None


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.lists(YAML_PIECES, max_size=40).map("".join)))
def test_any_text_gives_data_or_a_problem_with_a_place_in_it(text):
    found = failure(lambda: load(text, source="f.yaml"))
    if found is not None:
        assert found.message
        assert 1 <= found.line <= text.count("\n") + text.count("\r") + 2
        assert found.column >= 1
        return
    loaded = load(text, source="f.yaml")
    assert all(isinstance(key, str) for key in loaded.data)
    assert all(loaded.positions.at((key,)).line >= 1 for key in loaded.data)


@settings(max_examples=200, deadline=None)
@given(st.binary())
def test_any_bytes_give_a_text_or_a_problem(raw):
    found = failure(lambda: decode(raw, source="f.yaml"))
    if found is None:
        assert decode(raw, source="f.yaml").encode() == raw
    else:
        assert "UTF" in found.message


PLAIN_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | PLAIN_TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcon-_", min_size=1), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text("abon-_", min_size=1), JSON, min_size=1, max_size=4))
def test_what_pyyaml_writes_is_read_back_unchanged(content):
    text = yaml.safe_dump(content, allow_unicode=True)
    if "\ufeff" in text.removeprefix("\ufeff"):
        return
    assert load(text, source="f.yaml").data == content
