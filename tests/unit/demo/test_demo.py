"""`make demo` against a checkout whose tools are stand-ins that write down how they were called."""

import json
import sys
from pathlib import Path

import pytest

from hack import demo, install

STAND_IN = f"""#!{sys.executable}
import json, pathlib, sys
root = pathlib.Path({{root!r}})
name, words = {{name!r}}, sys.argv[1:]
with (root / "calls").open("a") as calls:
    print(name, *words, file=calls)
if (root / "fail").exists() and (root / "fail").read_text() == " ".join([name, *words[:1]]):
    sys.exit("stand-in failure")
runs = root / "runs"
items = json.loads(runs.read_text()) if runs.exists() else []
if name == "gradient" and words[0] == "run":
    items.append(json.loads((root / "next-run").read_text()))
    runs.write_text(json.dumps(items))
    sys.exit(0 if items[-1]["status"]["phase"] == "Succeeded" else 1)
if name == "kubectl" and "gradientruns.gradient.run" in words:
    print(json.dumps({{{{"items": items}}}}))
"""


def executable(path: Path, root: Path, name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(STAND_IN.format(root=str(root), name=name))
    path.chmod(0o755)


def run_object(name: str, phase: str, created: str = "2026-01-01T00:00:00Z"):
    jobs = {
        "CloneRepo": {"phase": "Succeeded"},
        "Train": {"phase": phase},
        "Evaluate": {"phase": phase, "outputs": {"accuracy": {"value": "0.9778"}}},
    }
    metadata = {"name": name, "creationTimestamp": created}
    return {"metadata": metadata, "status": {"phase": phase, "jobs": jobs}}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    tools = tmp_path / "hack"
    tools.mkdir()
    for name in ("cluster", "images", "install"):
        executable(tools / f"{name}.py", tmp_path, f"hack.{name}")
    executable(tmp_path / ".venv" / "bin" / "gradient", tmp_path, "gradient")
    executable(tmp_path / ".local" / "bin" / "kubectl", tmp_path, "kubectl")
    example = tmp_path / "examples" / "demo"
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    monkeypatch.setattr(install, "LOCAL", tmp_path / ".local")
    (tmp_path / ".local" / "kubeconfig").touch()
    monkeypatch.setattr(demo, "EXAMPLE", example)
    monkeypatch.setattr(demo, "WORKFLOW", example / "digits.yaml")
    monkeypatch.delenv("CLUSTER", raising=False)
    (tmp_path / "next-run").write_text(json.dumps(run_object("digits-1", "Succeeded")))
    return tmp_path


def calls(checkout: Path) -> list[str]:
    return (checkout / "calls").read_text().splitlines()


def test_the_demo_sets_up_everything_then_runs_the_pipeline_then_shows_what_it_made(
    checkout, capfd
):
    assert demo.main() == 0
    made = calls(checkout)
    steps = [
        "hack.cluster up",
        "hack.images build",
        "hack.images load",
        "hack.install",
        "kubectl apply -f -",
        f"kubectl -n demo apply -k {checkout}/examples/demo",
        "kubectl -n demo rollout status deployment/git --timeout=180s",
        "gradient run examples/demo/digits.yaml --follow --namespace demo",
        "gradient show digits-1 --namespace demo",
        "gradient logs digits-1 Deploy --namespace demo",
        "gradient dataset list --namespace demo",
        "gradient dataset versions digits-predictions --namespace demo",
    ]
    assert [step for step in made if step in steps] == steps
    said = capfd.readouterr().out
    assert "Accuracy of the model: 0.9778" in said
    assert "export KUBECONFIG=.local/kubeconfig" in said
    assert "gradient dataset get digits-predictions ./digits-predictions --namespace demo" in said
    assert "The demo took" in said


def test_a_second_demo_reports_its_own_run(checkout, capfd):
    (checkout / "runs").write_text(
        json.dumps([run_object("digits-0", "Succeeded", "2026-01-01T00:00:00Z")])
    )
    assert demo.main() == 0
    shown = [call for call in calls(checkout) if call.startswith("gradient show")]
    assert shown == ["gradient show digits-1 --namespace demo"]


@pytest.mark.parametrize(
    "call", ["hack.cluster up", "hack.images build", "hack.images load", "hack.install"]
)
def test_a_failed_step_ends_the_demo_with_a_sentence(checkout, capfd, call):
    (checkout / "fail").write_text(call)
    assert demo.main() == 1
    assert calls(checkout)[-1] == call
    said = capfd.readouterr().err
    assert f"`python3 -m {call}` ended with exit code 1" in said
    assert "repeat `make demo`" in said
    assert "Traceback" not in said


def test_a_failed_run_is_shown_and_the_next_command_is_named(checkout, capfd):
    (checkout / "next-run").write_text(json.dumps(run_object("digits-2", "Failed")))
    assert demo.main() == 1
    assert calls(checkout)[-1] == "gradient show digits-2 --namespace demo"
    said = capfd.readouterr().err
    assert "the run digits-2 is Failed" in said
    assert "gradient logs digits-2 Train --namespace demo" in said
    assert "export KUBECONFIG=.local/kubeconfig" in said


def test_a_run_that_does_not_move_is_shown_too(checkout, capfd):
    (checkout / "next-run").write_text(json.dumps(run_object("digits-3", "Pending")))
    assert demo.main() == 1
    said = capfd.readouterr().err
    assert "the run digits-3 is Pending" in said
    assert "gradient show digits-3 --namespace demo" in said


def test_a_run_that_never_started_says_where_to_look(checkout, capfd):
    (checkout / "fail").write_text("gradient run")
    assert demo.main() == 1
    assert "kubectl -n gradient-system get pods" in capfd.readouterr().err


def test_a_missing_command_line_names_the_command_that_makes_it(checkout, capfd):
    (checkout / ".venv" / "bin" / "gradient").unlink()
    assert demo.main() == 1
    assert "uv sync" in capfd.readouterr().err


def test_an_existing_cluster_keeps_its_own_kubeconfig(checkout, monkeypatch, capfd):
    monkeypatch.setenv("CLUSTER", "existing")
    monkeypatch.setenv("KUBECONFIG", "/somewhere/config")
    assert demo.main() == 0
    assert "export KUBECONFIG=/somewhere/config" in capfd.readouterr().out


def test_the_newest_run_is_found_among_those_that_were_not_there():
    runs = [
        run_object("b", "Failed", "2026-01-01T00:00:05Z"),
        run_object("c", "Failed", "2026-01-01T00:00:07Z"),
        run_object("a", "Failed", "2026-01-01T00:00:09Z"),
    ]
    found = demo.newest(runs, but=frozenset({"a"}))
    assert found is not None
    assert found["metadata"]["name"] == "c"
    assert demo.newest(runs, but=frozenset({"a", "b", "c"})) is None
