"""The workflows under examples/ are valid, and the demo has the promised shape."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gradient_operator.api.names import API_VERSION
from gradient_operator.workflow import compile as workflow_compile
from gradient_operator.workflow import loader, validate
from gradient_operator.workflow.model import Action, CompiledWorkflow

EXAMPLES = Path(__file__).parents[3] / "examples"
DIGITS = EXAMPLES / "demo" / ".gradient" / "workflows" / "digits.yaml"
MANIFESTS = sorted(EXAMPLES.glob("*.yaml"))
FILES = sorted([*EXAMPLES.glob("*/.gradient/workflows/*.yaml"), *EXAMPLES.glob("inputs-*/*.yaml")])
OURS = {"policy", "if", "strategy", "concurrency", "timeout-minutes", "continue-on-error"}
"""Keys that the hosted format does not have."""


def digits() -> CompiledWorkflow:
    loaded = loader.load(DIGITS.read_text(), source=DIGITS.name)
    compiled = workflow_compile.compile_file(validate.parse_file(loaded.data))
    assert compiled.warnings == ()
    return compiled.workflow


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | set().union(*(keys(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(keys(item) for item in value), set())
    return set()


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_an_example_is_a_valid_workflow_named_like_its_file(path):
    manifest = yaml.safe_load(path.read_text())
    assert manifest["apiVersion"] == API_VERSION
    assert manifest["kind"] == "GradientWorkflow"
    assert manifest["metadata"]["name"] == path.stem
    spec = validate.parse_spec(manifest["spec"])
    assert workflow_compile.compile_file(spec).warnings == ()


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_an_example_starts_with_a_comment_and_is_listed_in_the_readme(path):
    assert path.read_text().startswith("# ")
    assert f"({path.name})" in (EXAMPLES / "README.md").read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_is_valid_without_a_warning_and_uses_nothing_but_the_hosted_format(path):
    loaded = loader.load(path.read_text(), source=path.name)
    assert workflow_compile.compile_file(validate.parse_file(loaded.data)).warnings == ()
    assert not keys(loaded.data) & OURS
    assert f"({path.relative_to(EXAMPLES)})" in (EXAMPLES / "README.md").read_text()
    assert path.read_text().startswith("# ")


def test_stylegan2_has_the_five_jobs_of_the_tutorial_in_their_order():
    path = EXAMPLES / "stylegan2" / ".gradient" / "workflows" / "stylegan2.yaml"
    loaded = loader.load(path.read_text(), source=path.name)
    jobs = workflow_compile.compile_file(validate.parse_file(loaded.data)).workflow.jobs
    assert {name: set(job.needs) for name, job in jobs.items()} == {
        "CloneRepo": set(),
        "FetchNetwork": set(),
        "PrepareImages": {"CloneRepo"},
        "Train": {"CloneRepo", "PrepareImages"},
        "Generate": {"CloneRepo", "FetchNetwork", "Train"},
    }


def test_the_demo_uses_nothing_but_the_hosted_format():
    assert not keys(yaml.safe_load(DIGITS.read_text())) & OURS


def test_the_demo_shows_every_kind_of_job_on_cpu_and_gpu_machines():
    jobs = digits().jobs
    assert {job.action for job in jobs.values()} == {
        Action.GIT_CHECKOUT,
        Action.SCRIPT,
        Action.CONTAINER,
        Action.CREATE_MODEL,
    }
    assert {name: job.instance_type for name, job in jobs.items()} == {
        "CloneRepo": "C4",
        "PrepareData": "C5",
        "Train": "P4000",
        "Evaluate": "C5",
        "ContactSheet": "C5",
        "RegisterModel": "C4",
        "Deploy": "C4",
    }


def test_the_demo_makes_these_datasets():
    references = {
        output.dataset.name
        for job in digits().jobs.values()
        for output in job.outputs
        if output.dataset is not None
    }
    assert references == {"digits", "digits-model", "digits-predictions"}


def test_the_demo_draws_while_it_evaluates_and_deploys_after_both_inputs():
    jobs = digits().jobs
    assert "Evaluate" not in jobs["ContactSheet"].needs
    assert "ContactSheet" not in jobs["Evaluate"].needs
    assert set(jobs["Deploy"].needs) == {"RegisterModel", "Evaluate"}


def test_every_script_that_the_demo_calls_is_served_by_the_git_server():
    served = yaml.safe_load((EXAMPLES / "demo" / "kustomization.yaml").read_text())
    files = {name for each in served["configMapGenerator"] for name in each["files"]}
    repository = {f"repository/{path.name}" for path in _repository()}
    assert repository <= files
    for name in ("prepare", "train", "evaluate", "contact_sheet"):
        assert f"/inputs/repo/{name}.py" in DIGITS.read_text()
        assert f"repository/{name}.py" in files


def test_the_demo_clones_from_the_service_that_the_manifest_makes():
    text = (EXAMPLES / "demo" / "git-server.yaml").read_text()
    service = next(each for each in yaml.safe_load_all(text) if each["kind"] == "Service")
    checkout = digits().jobs["CloneRepo"].checkout
    assert checkout is not None
    assert checkout.url == f"git://{service['metadata']['name']}/digits.git"
    assert service["spec"]["ports"][0]["port"] == 9418


def _repository() -> list[Path]:
    return [path for path in (EXAMPLES / "demo" / "repository").iterdir() if path.is_file()]
