"""The combinations of a matrix, as GitHub documents them."""

import pytest

from gradient_operator.workflow.matrix import (
    MAX_COMBINATIONS,
    MatrixProblem,
    combinations,
    text_of,
)


def made(matrix):
    return [
        " ".join(f"{key}={value}" for key, value in row.items()) for row in combinations(matrix)
    ]


def test_every_value_meets_every_other_and_the_last_key_changes_fastest():
    assert made({"os": ["a", "b"], "version": [1, 2]}) == [
        "os=a version=1",
        "os=a version=2",
        "os=b version=1",
        "os=b version=2",
    ]


def test_the_order_of_keys_is_none_as_the_api_server_keeps_none():
    assert made({"b": [1], "a": [2]}) == made({"a": [2], "b": [1]}) == ["a=2 b=1"]


def test_what_is_excluded_need_name_some_keys_only():
    matrix = {"os": ["a", "b"], "version": [1, 2], "exclude": [{"os": "a", "version": 1}]}
    assert made(matrix) == ["os=a version=2", "os=b version=1", "os=b version=2"]
    assert made({**matrix, "exclude": [{"version": 2}]}) == ["os=a version=1", "os=b version=1"]


def test_include_as_in_githubs_own_example():
    fruits = {
        "fruit": ["apple", "pear"],
        "animal": ["cat", "dog"],
        "include": [
            {"color": "green"},
            {"color": "pink", "animal": "cat"},
            {"fruit": "apple", "shape": "circle"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"},
        ],
    }
    assert made(fruits) == [
        "animal=cat color=pink fruit=apple shape=circle",
        "animal=cat color=pink fruit=pear",
        "animal=dog color=green fruit=apple shape=circle",
        "animal=dog color=green fruit=pear",
        "fruit=banana",
        "animal=cat fruit=banana",
    ]


def test_include_alone_makes_one_combination_of_each_item():
    assert made({"include": [{"site": "x", "size": 1}, {"site": "y"}]}) == [
        "site=x size=1",
        "site=y",
    ]


def test_what_was_excluded_can_be_included_again():
    matrix = {"a": [1, 2], "exclude": [{"a": 1}], "include": [{"a": 1, "b": 3}]}
    assert made(matrix) == ["a=2", "a=1 b=3"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (0.1, "0.1"),
        (0.00001, "0.00001"),
        (1e-7, "1e-07"),
        (-2.5, "-2.5"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        ("1e-3", "1e-3"),
        ("", ""),
    ],
)
def test_a_value_reads_as_in_the_file_and_the_same_after_json(value, text):
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("matrix", "key", "said"),
    [
        ({"a": []}, "a", "holds no value"),
        ({"a": [[1]]}, "a", "must hold plain values"),
        ({"a": [{"b": 1}]}, "a", "must hold plain values"),
        ({"a": [1], "include": ["x"]}, "include", "must hold maps"),
        ({"a": [1], "include": [{"b": [1]}]}, "include", "must hold plain values"),
        ({"rate": [1], "exclude": [{"rat": 1}]}, "exclude", "did you mean 'rate'?"),
        ({"a": [1], "exclude": [{"a": 1}]}, "", "makes no combination"),
        ({}, "", "makes no combination"),
        ({"a": list(range(17)), "b": list(range(16))}, "", "makes 272 combinations, at most 256"),
        ({key: list(range(256)) for key in "abcdefgh"}, "", "at most 256"),
    ],
)
def test_a_matrix_that_makes_none_says_why(matrix, key, said):
    with pytest.raises(MatrixProblem, match=said.replace("?", r"\?")) as problem:
        combinations(matrix)
    assert problem.value.key == key


def test_as_many_as_on_github_fit():
    assert len(combinations({"a": list(range(16)), "b": list(range(16))})) == MAX_COMBINATIONS
