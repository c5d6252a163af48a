"""What a program will lose or not find is warned of, if it is certain from a few words."""

import pytest

from gradient_operator.workflow.scripts import script_advice
from gradient_operator.workflow.validate import parse_file
from tests.builders import make_workflow


def found(script, **fields):
    builder = (
        make_workflow().job("a", **fields).takes("repo", "b.outputs.repo").makes("model", "volume")
    )
    builder.uses("script@v1", image="x", script=script)
    return [(each.rule, each.line) for each in script_advice(parse_file(builder.data()))]


WARNED = {
    "an output that is not declared": ("a\nmkdir -p /outputs/modle", "undeclared-output", 1),
    "a file in the root of the outputs": ("cp x /outputs/x.pt", "undeclared-output", 0),
    "an input that is not declared": ("set -e\ncd /inputs/rep\n", "undeclared-input", 1),
    "an input that a program reads": ("python /inputs/rep/train.py", "undeclared-input", 0),
    "an expression of GitHub": ("echo ${{ github.sha }}", "literal-placeholder", 0),
    "an expression of nobody": ("echo ${inputs.size}", "literal-placeholder", 0),
    "a secret in the middle": ("a\nlogin --token secret:TOKEN", "literal-placeholder", 1),
    "a heredoc without end": ("a\ncat >x <<EOF\nb\n  EOF\nc", "open-heredoc", 1),
}
FINE = {
    "what is declared": "cp -R /inputs/repo/* /outputs/model/ && ls /outputs/model",
    "the roots themselves": "cp -R /inputs/repo /outputs; ls /outputs /inputs",
    "a copy of an input with the name of an output": "cp -R /inputs/model /outputs",
    "a folder that the script makes": "mkdir /inputs/results\ncp x /inputs/results",
    "a folder that it makes and then reads": "mkdir /inputs/made\ncat /inputs/made/x",
    "a clone among the inputs": "cd /inputs\ngit clone u\ncd /inputs/u",
    "another path that ends alike": "ls /repo/outputs/x ./outputs/y $A/outputs/z",
    "a variable": "ls /outputs/$NAME /outputs/${NAME} /inputs/$X",
    "a comment": "# cp x /outputs/old\n  # cat /inputs/old",
    "a relative path": "cd inputs/repo && cp x outputs/x",
    "a shell's own braces": "echo ${A} ${A:-b} ${#A} $(a) ${input}",
    "a matrix": "echo ${{ matrix.size }}",
    "words about secrets": "echo 'secret: none' https://x/secret:y",
    "a heredoc": "cat <<EOF\na\nEOF\ncat <<-'E1'\n\tE1\ncat <<\"x\"\nx",
    "a shift, a stream, a here-string": "echo $((1<<N)); cat <<<X; c++ 'cout << X'; (( a <<B ))",
    "a heredoc inside of another": "cat <<EOF\ncat <<INNER\nEOF",
}


@pytest.mark.parametrize(("script", "rule", "line"), WARNED.values(), ids=WARNED)
def test_what_will_be_lost_or_missing_is_warned_of_with_its_line(script, rule, line):
    assert found(script) == [(rule, line)]


@pytest.mark.parametrize("script", FINE.values(), ids=FINE)
def test_what_real_scripts_do_is_left_alone(script):
    assert found(script) == []


def test_a_path_in_a_variable_is_looked_at_too():
    assert found("true", env={"OUT": "/outputs/modle"}) == [("undeclared-output", 0)]


def test_the_nearest_name_is_said():
    builder = make_workflow().job("a").makes("model", "volume")
    builder.uses("script@v1", image="x", script="ls /outputs/modle")
    (problem,) = script_advice(parse_file(builder.data()))
    assert "did you mean 'model'?" in problem.message
    assert problem.severity == "warning"
