"""What each action comes to: its program, its place, its parameters."""

import pytest

from gradient_operator.workflow.model import (
    Action,
    CreateModel,
    DatasetInput,
    EnvVar,
    GitCheckout,
    S3Download,
)
from gradient_operator.workflow.references import DatasetReference
from gradient_operator.workflow.state import Event
from tests.builders import make_workflow

DATASET = {"type": "dataset"}


def clone():
    """A checkout into a volume, as nearly every file begins."""
    return (
        make_workflow()
        .job("clone")
        .uses("git-checkout@v1", url="https://x/y")
        .makes("repo", "volume")
    )


def one(builder, name="a", **how):
    return builder.compile(**how).jobs[name]


class TestActions:
    def test_a_script_replaces_the_entrypoint_and_keeps_every_character(self):
        builder = make_workflow().job("a").uses("script@v1", image="bash:5", script="echo $A \n")
        job = one(builder)
        assert (job.command, job.args) == (("bash", "-c"), ("echo $A \n",))

    def test_a_container_keeps_what_it_does_not_say(self):
        job = one(make_workflow().job("a").container())
        assert (job.command, job.args) == (None, None)

    def test_arguments_keep_the_entrypoint(self):
        job = one(make_workflow().job("a").container(args=["ls", "-al"]))
        assert (job.command, job.args) == (None, ("ls", "-al"))

    @pytest.mark.parametrize("command", ["bash", ["bash"]])
    def test_a_command_is_one_word_or_a_list(self, command):
        job = one(make_workflow().job("a").container(command=command, args=["-c", "true"]))
        assert (job.command, job.args) == (("bash",), ("-c", "true"))

    def test_without_uses_a_job_with_arguments_is_a_container(self):
        builder = make_workflow().job("a").uses(None, image="bash:5", args=["true"])
        assert one(builder).action is Action.CONTAINER

    def test_without_uses_a_job_with_a_script_is_a_script(self):
        builder = make_workflow().job("a").uses(None, image="bash:5", script="true")
        assert one(builder).action is Action.SCRIPT

    @pytest.mark.parametrize("image", ["https://r.io/x:1", "http://r.io/x:1", " r.io/x:1 "])
    def test_an_image_is_taken_without_scheme_and_blanks(self, image):
        assert one(make_workflow().job("a").uses("container@v1", image=image)).image == "r.io/x:1"


class TestCheckout:
    def test_it_goes_into_the_only_output(self):
        job = one(clone(), "clone")
        assert job.checkout == GitCheckout("https://x/y", None, None, None, "/outputs/repo")

    def test_a_string_output_is_no_place(self):
        assert one(clone().makes("sha", "string"), "clone").checkout.path == "/outputs/repo"

    def test_the_path_decides_among_several(self):
        builder = make_workflow().job("a").makes("r", "volume").makes("s", "volume")
        builder.uses("git-checkout@v1", url="https://x/y", path="/outputs/s/src")
        assert one(builder).checkout.path == "/outputs/s/src"

    def test_in_old_files_it_goes_into_the_shared_volume(self):
        builder = make_workflow().job("a").uses("git-checkout@v1", url="https://x/y")
        assert one(builder.takes("repo", {"type": "volume"})).checkout.path == "/inputs/repo"

    def test_user_and_password_may_be_secrets(self):
        builder = make_workflow().job("a").makes("r", "volume")
        builder.uses("git-checkout@v1", url="https://x/y", username="me", password="secret:TOKEN")
        checkout = one(builder).checkout
        assert checkout.username == EnvVar("GRADIENT_GIT_USERNAME", "me")
        assert checkout.password == EnvVar("GRADIENT_GIT_PASSWORD", secret_key="TOKEN")

    def of_event(self, **top):
        places = {"url": "context.event.github.url", "ref": "context.event.github.ref"}
        builder = make_workflow(**top).job("a").makes("r", "volume")
        return builder.uses("git-checkout@v1", **places)

    def test_the_event_fills_in_repository_and_commit(self):
        job = one(self.of_event(), given={}, event=Event("https://x/y", "c0ffee"))
        assert (job.checkout.url, job.checkout.ref) == ("https://x/y", "c0ffee")

    def test_an_event_pasted_into_the_file_counts(self):
        context = {"event": {"github": {"url": "https://x/y", "ref": "c0ffee"}}}
        job = one(self.of_event(context=context), given={})
        assert (job.checkout.url, job.checkout.ref) == ("https://x/y", "c0ffee")

    @pytest.mark.parametrize("context", [{}, {"event": 1}, {"event": {"github": {"url": 1}}}])
    def test_a_run_without_event_is_refused(self, context):
        problems = self.of_event(context=context).problems(given={})
        assert [str(problem) for problem in problems] == [
            f"jobs.a.with.{key}: needs the push that started the run: write the {key} itself, or "
            f"add context.event.github.{key} to the file"
            for key in ("url", "ref")
        ]

    def test_without_a_run_the_event_is_left_open(self):
        assert self.of_event().problems() == []

    def test_a_branch_counts_where_there_is_no_ref(self):
        builder = make_workflow().job("a").makes("r", "volume")
        places = {"url": "https://x/y", "branch": "training"}
        assert one(builder.uses("git-checkout@v1", **places)).checkout.ref == "training"
        builder.uses("git-checkout@v1", ref="v1", **places)
        assert one(builder).checkout.ref == "v1"

    def test_a_password_in_the_file_is_warned_of_and_not_shown(self):
        builder = make_workflow().job("a").makes("r", "volume")
        builder.uses("git-checkout@v1", url="https://x/y", username="me", password="hunter2")
        (problem,) = builder.problems()
        assert (problem.rule, problem.severity) == ("literal-secret", "warning")
        assert "hunter2" not in str(problem)

    @pytest.mark.parametrize(
        ("url", "rules"),
        [
            ("https://hunter2@x/y", ["literal-secret"]),
            ("https://me:hunter2@x/y", ["literal-secret"]),
            ("https://$TOKEN@x/y", []),
            ("ssh://git@x/y", []),
            ("https://x/y@z", []),
        ],
    )
    def test_a_token_in_the_address_is_warned_of_and_not_shown(self, url, rules):
        builder = make_workflow().job("a").makes("r", "volume").uses("git-checkout@v1", url=url)
        assert [problem.rule for problem in builder.problems()] == rules
        assert "hunter2" not in str(builder.problems())

    @pytest.mark.parametrize(
        ("path", "wanted"),
        [("outputs/r", "/outputs/r"), ("/outputs//r/a/", "/outputs/r/a"), (" ", "/outputs/r")],
    )
    def test_a_path_may_be_spelled_loosely(self, path, wanted):
        builder = make_workflow().job("a").makes("r", "volume")
        builder.uses("git-checkout@v1", url="https://x/y", path=path)
        assert builder.problems() == []
        assert one(builder).checkout.path == wanted

    @pytest.mark.parametrize("path", ["/outputs", "/outputs/s", "/outputs/rest", "/outputs/r/.."])
    def test_a_path_in_no_output_is_warned_of(self, path):
        builder = make_workflow().job("a").makes("r", "volume").makes("s", "string")
        builder.uses("git-checkout@v1", url="https://x/y", path=path)
        assert [problem.rule for problem in builder.problems()] == ["path-outside"]

    def test_a_path_in_a_volume_input_or_the_shared_storage_is_fine(self):
        for path in ("/inputs/repo/data", "/storage/data"):
            builder = clone().job("a").needs("clone").takes("repo", "clone.outputs.repo")
            builder.uses("git-checkout@v1", url="https://x/y", path=path)
            assert builder.problems() == []


class TestDownload:
    def job(self, **parameters):
        parameters = {"url": "s3://b/p/", **parameters}
        return (
            make_workflow()
            .job("a")
            .makes("d", "dataset", "d")
            .uses(
                "s3-download@v1",
                **{key.replace("_", "-"): text for key, text in parameters.items()},
            )
        )

    def test_a_public_bucket_needs_an_address_alone(self):
        download = S3Download("s3://b/p/", "", "", None, None, "/outputs/d")
        assert one(self.job()).download == download

    def test_keys_may_be_secrets(self):
        builder = self.job(
            access_key="AKIA", secret_access_key="secret:KEY", region="r", endpoint="http://e",
            path="/outputs/d/sub",
        )  # fmt: skip
        assert builder.problems() == []
        assert one(builder).download == S3Download(
            "s3://b/p/",
            "r",
            "http://e",
            EnvVar("GRADIENT_S3_ACCESS_KEY", "AKIA"),
            EnvVar("GRADIENT_S3_SECRET_KEY", secret_key="KEY"),
            "/outputs/d/sub",
        )

    def test_a_secret_key_in_the_file_is_warned_of_and_not_shown(self):
        (problem,) = self.job(access_key="AKIA", secret_access_key="wJalr").problems()
        assert (problem.rule, problem.severity) == ("literal-secret", "warning")
        assert "wJalr" not in str(problem)

    def test_the_address_may_come_from_the_environment(self):
        assert self.job(url="$DATA").problems() == []


class TestModel:
    def builder(self, **top):
        model = make_workflow(**top).job("a").uses("create-model@v1", name="m", type="Custom")
        return model.makes("model-id", "string")

    def test_it_registers_a_dataset(self):
        job = one(self.builder().takes("model", DATASET | {"with": {"ref": "m:latest"}}))
        assert job.model == CreateModel("m", "Custom")
        assert job.inputs == (DatasetInput("model", DatasetReference("m")),)

    def test_a_model_that_the_run_will_name_is_left_open(self):
        builder = self.builder(inputs={"m": DATASET}).takes("model", "workflow.inputs.m")
        assert builder.problems() == []

    def test_a_wrong_reference_is_told_once(self):
        builder = self.builder().takes("model", "b.outputs.c")
        assert [problem.rule for problem in builder.problems()] == ["unknown-job"]
