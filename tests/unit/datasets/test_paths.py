from __future__ import annotations

import pytest

from gradient_operator.datasets.paths import display, parent, path_problem, target_problem


@pytest.mark.parametrize(
    "path",
    [b"a", b"a/b", b"...", b".hidden", b"a..b", b"\xff\n", b"a b/ c", b"x" * 255, b"..a/b.."],
)
def test_path_that_keeps_the_rules_is_accepted(path: bytes) -> None:
    assert path_problem(path) is None


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/a",
        b"a/",
        b"a//b",
        b".",
        b"..",
        b"../a",
        b"a/..",
        b"a/../b",
        b"a/./b",
        b"a\0b",
        b"x" * 256,
        b"/".join([b"a"] * 300),
        b"/".join([b"x" * 200] * 100),
    ],
)
def test_path_that_breaks_the_rules_is_refused(path: bytes) -> None:
    assert path_problem(path)


def test_target_may_name_any_place_but_must_be_a_string_of_the_kernel() -> None:
    assert target_problem(b"/etc/passwd") is None
    assert target_problem(b"../../up") is None
    assert target_problem(b"")
    assert target_problem(b"a\0b")
    assert target_problem(b"x" * 5000)


def test_parent_of_a_top_level_path_is_empty() -> None:
    assert parent(b"a") == b""
    assert parent(b"a/b/c") == b"a/b"


def test_display_is_printable_and_short() -> None:
    assert display(b"a\nb\x1b[31m\xff") == r"'a\nb\x1b[31m\xff'"
    assert len(display(b"x" * 10_000)) < 200
