"""Every rule has an entry and every entry a rule; the examples say what the checks do."""

import ast
import re
from pathlib import Path

import pytest

import gradient_operator
from gradient_operator.api.run import RunInput
from gradient_operator.workflow import loader
from gradient_operator.workflow.compile import compile_file
from gradient_operator.workflow.lint import lint
from gradient_operator.workflow.loader import load
from gradient_operator.workflow.model import Refused
from gradient_operator.workflow.rules.catalogue import CATALOGUE
from gradient_operator.workflow.validate import parse_file

PACKAGE = Path(gradient_operator.__file__ or "").parent
MAKERS = {"Habit": 0, "_at": 3, "error": 2, "warn": 2, "Problem": 2, "_fail": 2, "Explanation": 2}
"""Functions that take the id of a rule, and which of their arguments it is."""


def ids_in(tree):
    """The ids of rules that a module gives to problems."""
    constants = {
        node.target.id: node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        place = MAKERS.get(name)
        given = [word.value for word in node.keywords if word.arg == "rule"]
        given += node.args[place : place + 1] if place is not None else []
        yield from (
            each.value
            for argument in given
            for name in ast.walk(argument)
            for each in [constants.get(getattr(name, "id", ""), name)]
            if isinstance(each, ast.Constant) and isinstance(each.value, str)
        )


def used():
    modules = [*PACKAGE.glob("workflow/*.py"), *PACKAGE.glob("controllers/*.py")]
    found = set()
    for module in modules:
        found.update(ids_in(ast.parse(module.read_text())))
    return {each for each in found if re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", each)}


def test_every_rule_that_is_used_has_an_entry_and_every_entry_is_used():
    assert used() == set(CATALOGUE)


def said(text, given):
    """The ids and severities of what is wrong with an example."""
    if given is None:
        found = lint(text.encode(), source="example.yaml").findings
        return {(each.rule, each.severity) for each in found}
    values = {name: RunInput(ref=value) for name, value in given.items()}
    try:
        compile_file(parse_file(load(text, source="example.yaml").data), given=values)
    except Refused as refused:
        return {(each.rule, each.severity) for each in refused.problems}
    return set()


@pytest.mark.parametrize("rule", CATALOGUE.values(), ids=CATALOGUE)
def test_the_wrong_example_breaks_this_rule_alone_and_the_right_one_none(rule):
    wrong = rule.wrong.replace("…", "x" * rule.ellipsis) if rule.ellipsis else rule.wrong
    assert wrong != rule.right
    assert said(wrong, rule.given) == {(rule.id, rule.severity)}
    assert said(rule.right, rule.given) == set()


def test_titles_are_one_line_and_reasons_are_sentences():
    for rule in CATALOGUE.values():
        assert "\n" not in rule.title
        assert not rule.title.endswith(".")
        assert rule.why.endswith(".")
        assert len(rule.title) <= 80


def test_every_bound_of_the_loader_is_told():
    assert f"{loader.MAX_NODES:,}" in CATALOGUE["too-large"].why
    assert f"{loader.MAX_DEPTH} levels" in CATALOGUE["too-large"].why
