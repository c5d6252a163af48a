"""A job with a matrix becomes several: their names, their text, who waits for them."""

import pytest

from gradient_operator.api.base import MAX_NAME
from gradient_operator.workflow.model import EnvVar, OutputInput
from tests.builders import make_workflow


def sweep(matrix, name="train", **strategy):
    builder = make_workflow().job(name)
    return builder.put("strategy", {"matrix": matrix, **strategy})


def said(builder):
    return [str(problem) for problem in builder.problems()]


class TestNames:
    @pytest.mark.parametrize(
        ("matrix", "names"),
        [
            ({"rate": [0.1, 0.01]}, ["train-0.1", "train-0.01"]),
            ({"opt": ["Adam", "sgd"], "n": [1]}, ["train-1-Adam", "train-1-sgd"]),
            ({"image": ["a/b:1", "a/b:2"]}, ["train-a-b-1", "train-a-b-2"]),
            ({"n": [1, -1]}, ["train-1", "train-2"]),
            ({"n": ["é", "ü"]}, ["train-1", "train-2"]),
            ({"n": ["a b", "a-b", "c"]}, ["train-1", "train-2", "train-c"]),
            ({"n": ["x" * 60, "y"]}, ["train-1", "train-y"]),
            ({"n": ["Ab", "aB"]}, ["train-1", "train-2"]),
        ],
    )
    def test_the_values_make_the_name_or_a_number_does(self, matrix, names):
        assert list(sweep(matrix).compile().jobs) == names

    def test_the_name_of_another_job_is_not_taken(self):
        builder = sweep({"n": [1, 2]}).job("train-1").job("train-2")
        names = list(builder.compile().jobs)
        assert len(set(names)) == 4
        assert {"train-1", "train-2"} < set(names)

    def test_a_long_name_leaves_room_for_the_number(self):
        names = list(sweep({"n": ["a", "b"]}, name="t" * MAX_NAME).compile().jobs)
        assert len(set(names)) == 2
        assert all(len(name) <= MAX_NAME for name in names)

    def test_adding_a_value_changes_no_other_name(self):
        before = sweep({"rate": [0.1, 0.2]}).compile().jobs
        after = sweep({"rate": [0.5, 0.1, 0.2]}).compile().jobs
        assert set(before) < set(after)


class TestText:
    def test_every_text_of_the_job_is_filled_in(self):
        builder = sweep({"size": ["small"], "machine": ["P4000"], "tag": [3]})
        builder.uses(
            "container@v1", image="python:${{ matrix.tag }}", args=["--${{matrix['size']}}"]
        )
        builder.put("resources", {"instance-type": "${{ matrix.machine }}"})
        builder.env(WHERE="at ${{ matrix.size }}!").makes("o", "dataset", "m-${{ matrix.size }}")
        builder.takes("i", {"type": "dataset", "with": {"ref": "in-${{ matrix.tag }}"}})
        job = next(iter(builder.compile().jobs.values()))
        assert (job.image, job.args) == ("python:3", ("--small",))
        assert (job.instance_type, job.outputs[0].dataset.name) == ("P4000", "m-small")
        assert job.inputs[0].reference.name == "in-3"
        assert EnvVar("WHERE", "at small!") in job.env

    def test_the_values_are_variables_too_and_the_jobs_own_win(self):
        builder = sweep({"learning-rate": [0.1], "opt": ["sgd"]}).env(MATRIX_OPT="mine")
        job = next(iter(builder.compile().jobs.values()))
        assert {each.name: each.value for each in job.env} == {
            "MATRIX_LEARNING_RATE": "0.1",
            "MATRIX_OPT": "mine",
        }

    def test_a_key_that_this_combination_lacks_is_empty(self):
        builder = sweep({"a": [1, 2], "include": [{"a": 1, "extra": "-v"}]})
        builder.uses("script@v1", image="bash:5", script="run ${{ matrix.extra }}")
        assert [job.args for job in builder.compile().jobs.values()] == [("run -v",), ("run ",)]

    def test_other_expressions_stay_as_they_are(self):
        builder = sweep({"a": [1]})
        builder.uses("script@v1", image="bash:5", script="echo ${{ github.sha }} ${{ matrixes }}")
        job = next(iter(builder.compile().jobs.values()))
        assert job.args == ("echo ${{ github.sha }} ${{ matrixes }}",)

    def test_a_job_without_a_matrix_keeps_its_text(self):
        builder = make_workflow().job("a")
        builder.uses("script@v1", image="bash:5", script="echo ${{ matrix.rate }}")
        assert builder.compile().jobs["a"].args == ("echo ${{ matrix.rate }}",)

    def test_what_is_more_than_a_name_is_refused(self):
        builder = sweep({"a": [1]}).env(B="${{ matrix.a + 1 }}")
        (problem,) = said(builder)
        assert "'${{ matrix.a + 1 }}' is too much: only ${{ matrix.KEY }}" in problem

    def test_an_unknown_key_names_the_nearest(self):
        builder = sweep({"rate": [1, 2]}).env(B="${{ matrix.rat }}")
        assert said(builder) == [
            "jobs.train.env.B: 'rat' is no key of the matrix; did you mean 'rate'?"
        ]

    def test_keys_that_are_one_variable_are_refused(self):
        assert "MATRIX_A_B" in said(sweep({"a-b": [1], "a_b": [2]}))[0]

    def test_what_a_value_makes_wrong_is_shown_at_its_place_in_the_file(self):
        builder = sweep({"machine": ["C4", "m" * 64]})
        builder.put("resources", {"instance-type": "${{ matrix.machine }}"})
        assert [str(each).split(":")[0] for each in builder.problems()] == [
            "jobs.train.resources.instance-type"
        ]


class TestOtherKeys:
    def test_timeout_and_continue_on_error_may_stand_in_the_matrix(self):
        builder = sweep({"n": [1, 2], "include": [{"n": 2, "new": True, "minutes": 0.5}]})
        builder.put("continue-on-error", "${{ matrix.new }}").put("timeout-minutes", 5)
        jobs = builder.compile().jobs.values()
        assert [job.continue_on_error for job in jobs] == [False, True]
        assert [job.timeout_seconds for job in jobs] == [300, 300]

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("timeout-minutes", "soon"),
            ("timeout-minutes", 0),
            ("timeout-minutes", "-1"),
            ("timeout-minutes", "nan"),
            ("continue-on-error", "maybe"),
            ("continue-on-error", [True]),
            ("retries", -1),
        ],
    )
    def test_wrong_values_are_refused_once(self, key, value):
        problems = make_workflow().job("a").put(key, value).problems()
        assert [problem.path for problem in problems] == [("jobs", "a", key)]

    def test_max_parallel_and_fail_fast_reach_the_planner(self):
        matrix = sweep({"n": [1, 2]}, **{"max-parallel": 1, "fail-fast": False}).compile().matrices
        assert matrix["train"].jobs == ("train-1", "train-2")
        assert (matrix["train"].max_parallel, matrix["train"].fail_fast) == (1, False)


class TestAround:
    def test_who_needs_the_job_waits_for_all_its_combinations(self):
        jobs = sweep({"n": [1, 2]}).job("b").needs("train").compile().jobs
        assert list(jobs) == ["train-1", "train-2", "b"]
        assert jobs["b"].needs == ("train-1", "train-2")

    @pytest.mark.parametrize("kind", ["dataset", "string", "volume"])
    def test_what_they_make_comes_as_one_input_each(self, kind):
        builder = sweep({"rate": [0.1, 5]})
        builder.makes("o", kind, "d-${{ matrix.rate }}" if kind == "dataset" else None)
        jobs = builder.job("b").needs("train").takes("all", "train.outputs.o").compile().jobs
        assert jobs["b"].inputs == (
            OutputInput("all/0.1", kind, "train-0.1", "o"),
            OutputInput("all/5", kind, "train-5", "o"),
        )

    def test_a_matrix_may_take_from_a_matrix(self):
        builder = sweep({"n": [1, 2]}).makes("o", "string")
        builder.job("b").needs("train").takes("i", "train.outputs.o")
        builder.put("strategy", {"matrix": {"m": ["x", "y"]}})
        jobs = builder.compile().jobs
        assert jobs["b-x"].needs == jobs["b-y"].needs == ("train-1", "train-2")
        assert len(jobs["b-y"].inputs) == 2

    def test_a_combination_cannot_be_named(self):
        builder = sweep({"n": [1]}).makes("o", "string").job("b").needs("train-1")
        assert "'train-1' is not a job; did you mean 'train'?" in said(builder)[0]

    def test_a_source_that_is_not_needed_is_taken_as_a_need_with_all_combinations(self):
        builder = sweep({"n": [1, 2]}).makes("o", "string").job("b").takes("i", "train.outputs.o")
        assert builder.compile().jobs["b"].needs == ("train-1", "train-2")
        assert len(said(builder)) == 1

    def test_a_model_is_one_dataset(self):
        builder = sweep({"n": [1, 2]}).makes("o", "dataset", "d-${{ matrix.n }}")
        builder.job("b").needs("train").uses("create-model@v1", name="m", type="Custom")
        builder.takes("model", "train.outputs.o")
        assert "let a job choose one of them" in said(builder)[0]

    def test_combinations_that_write_one_dataset_are_warned_of_once(self):
        builder = sweep({"n": [1, 2, 3]}).makes("o", "dataset", "same")
        (warning,) = said(builder)
        assert warning.startswith("jobs.train.outputs.o: goes to dataset 'same' in 3 combinations")

    def test_too_many_jobs_in_all(self):
        builder = make_workflow()
        for name in "abcdefghi":
            builder.job(name).put("strategy", {"matrix": {"n": list(range(256))}})
        assert said(builder) == [
            "jobs: are 2304 with all combinations of matrices, at most 2048 fit"
        ]
