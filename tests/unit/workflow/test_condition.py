"""The text of an `if`: what is read in it, and what is said about what cannot be."""

import pytest

from gradient_operator.workflow import cel
from gradient_operator.workflow.expression import ExpressionProblem, read
from tests.builders import make_workflow


def workflow(text, **inputs):
    declared = {"mode": {"type": "string"}, "data": {"type": "dataset"}}
    builder = make_workflow(inputs={**declared, **inputs})
    builder.job("train-model").makes("accuracy", "string").makes("model", "dataset", "m")
    builder.job("other").job("sweep").put("strategy", {"matrix": {"n": [1]}}).makes("o", "string")
    return builder.job("end").needs("train-model", "sweep").put("if", text)


def condition(text, **how):
    return workflow(text).compile(**how).jobs["end"].condition


def said(text):
    (problem,) = workflow(text).problems()
    assert problem.rule in {"bad-condition", "wrong-value"}
    assert problem.path == ("jobs", "end", "if")
    return problem.message


ACCURACY = "needs.train-model.outputs.accuracy"


class TestRead:
    @pytest.mark.parametrize(
        "text",
        [
            f"double({ACCURACY}) > 0.9",
            f"${{{{ double({ACCURACY}) > 0.9 }}}}",
            "${{always()}}",
            "needs['train-model'].outputs[\"accuracy\"] == 'x'",
            "needs . train-model . result != 'success'",
            f"{ACCURACY}.startsWith('0.9') || {ACCURACY}.matches('^1')",
            f"{ACCURACY} in ['a', 'b']",
            f"int({ACCURACY}) % 2 == 0 ? success() : failure()",
            "!cancelled() && inputs.mode == 'it\\'s'",
            "needs.sweep.result == 'success'",
            "inputs.mode.size() > 3",
            "\n  always()\n",
        ],
    )
    def test_what_people_write(self, text):
        assert condition(text) is not None

    @pytest.mark.parametrize(("value", "program"), [(True, "true"), (False, "false")])
    def test_true_and_false_are_conditions(self, value, program):
        assert condition(value).program == program

    def test_none_is_none(self):
        assert condition(None) is None

    def test_it_knows_what_it_looks_at(self):
        found = condition(f"failure() && {ACCURACY} == '1' && needs.sweep.result == 'success'")
        assert found.asks == {"failure"}
        assert found.needs == {"train-model": ("train-model",), "sweep": ("sweep-1",)}
        assert found.outputs == (("train-model", "accuracy"),)

    def test_a_source_of_inputs_counts_as_a_need(self):
        builder = workflow("needs.other.result == 'success'")
        builder.jobs["other"]["outputs"] = {"o": {"type": "string"}}
        builder.takes("i", "other.outputs.o")
        assert builder.compile().jobs["end"].condition is not None

    def test_the_matrix_of_the_job_can_be_asked(self):
        builder = make_workflow().job("a").put("strategy", {"matrix": {"n": [1, 2]}})
        jobs = builder.put("if", "matrix.n == '2'").compile().jobs
        assert [job.condition.matrix for job in jobs.values()] == [{"n": "1"}, {"n": "2"}]


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (f"{ACCURACY} > 0.9", "applies '>' to text and a number: make a number of the text"),
            (f"double({ACCURACY}) > 1", "write both with a point, as 1.0"),
            (ACCURACY, "is text, not true or false"),
            ("inputs.mode == true", "write the value in quotes, as == 'true'"),
            ("needs.train_model.result == 'x'", "did you mean 'train-model'?"),
            ("needs.other.result == 'x'", "'other' is not under needs of this job: add it there"),
            ("needs.train-model.outputs.acuracy == ''", "did you mean 'accuracy'?"),
            ("needs.train-model.outputs.model == ''", "is of type dataset"),
            ("needs.train-model.result.x == ''", "a job has result and outputs.NAME"),
            ("needs.sweep.outputs.o == ''", "every combination of 'sweep' makes its own 'o'"),
            ("inputs.moed == 'x'", "did you mean 'mode'?"),
            ("inputs.data == 'x'", "is of type dataset"),
            ("matrix.n == '1'", "the job has no strategy.matrix"),
            ("github.ref == 'main'", "'github' means nothing here"),
            ("workflow.inputs.mode == 'x'", "there are inputs.NAME"),
            ("inputs.mode == main", "text stands in quotes: 'main'"),
            ("succes()", "did you mean 'success'?"),
            ("success", "is a function: write success()"),
            ("success(1)", "takes nothing between its brackets"),
            ("contains(inputs.mode, 'x')", "contains stands behind a text: TEXT.contains(…)"),
            ("inputs.mode.upper() == 'x'", "'upper' is no function of text"),
            ("[1].all(x, true)", "'all' is no function of text"),
            ("has(inputs.mode)", "'has' is no function"),
            ("{'a': true}['a']", "maps are not known here"),
            ("inputs.mode = 'x'", "a comparison is written =="),
            ("${{ inputs.mode }} == 'x'", "has ${{ }} around a part of it"),
            ("inputs.mode == 'x", "has a quote that is never closed"),
            ("", "is empty"),
            ("${{ }}", "is empty"),
            ("true &&", "cannot be read"),
            ("(" * 30 + "true" + ")" * 30, "more than 24 brackets"),
            ("1" + "+1" * 200 + " > 0", "is nested too deeply"),
            ("true" + " && true" * 200, "at most 1024 characters"),
            (["true"], "must be a condition"),
            (5, "must be a condition"),
        ],
    )
    def test_the_sentence_names_the_remedy(self, text, words):
        assert words in said(text)

    def test_a_long_value_is_no_value_for_a_condition(self):
        long = {"type": "string", "with": {"value": "x" * 5_000}}
        problems = workflow("inputs.mode == 'x'", mode=long).problems()
        assert "too long for a condition" in problems[0].message


class TestCost:
    """Whatever stands in it, a condition is told in bounded time: there are no loops."""

    @pytest.mark.parametrize(
        "text",
        [
            "inputs.a" + " + inputs.a" * 28 + " == 'x'",
            "inputs.a.matches('(((a{30}){30}){30}){30}')",
            "inputs.a.matches('(a*)*b')",
            "!" * 1_000 + "true",
            "-" * 1_000 + "1 > 0",
            "[" * 24 + "1" + "]" * 24 + " == []",
            "true ? " * 100 + "true" + " : false" * 100,
        ],
    )
    def test_hostile_text_ends(self, text):
        program = text.replace("inputs.a", 'inputs["a"]')
        status = dict.fromkeys(("success", "failure", "always", "cancelled"), True)
        try:
            cel.check(program)
            cel.evaluate(
                program,
                status=status,
                inputs={"a": "a" * 4_096},
                matrix={},
                results={},
                outputs={},
            )
        except ExpressionProblem:
            return

    @pytest.mark.parametrize("macro", ["all", "exists", "exists_one", "map", "filter"])
    def test_no_macro_that_loops_gets_through(self, macro):
        with pytest.raises(ExpressionProblem, match="is no function"):
            read(f"[1, 2].{macro}(x, x > 0)", lambda _root, _names: "")
