"""`make demo`: from nothing to a finished machine-learning pipeline, every step said and timed.

It only calls what a person would call: the other tools of this folder, kubectl and `gradient`.
Steps that are done already are quick, so running it again is always safe.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.checkout import ROOT
from hack.commands import search_path
from hack.errors import SetupError
from hack.install import Kubectl, find_kubectl
from hack.steps import complain, say

NAMESPACE = "demo"
EXAMPLE = ROOT / "examples" / "demo"
WORKFLOW = EXAMPLE / ".gradient" / "workflows" / "digits.yaml"
PICTURE = "digits-predictions"
ROLLOUT_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs that the demo calls, and the environment that leads them to the cluster."""

    kubectl: Kubectl
    gradient: str


def find_tools() -> Tools:
    """Look for the programs once the cluster is up, which brings its own kubectl."""
    gradient = ROOT / ".venv" / "bin" / "gradient"
    if not gradient.exists():
        raise SetupError(f"{gradient.relative_to(ROOT)} is missing; make it with: uv sync")
    return Tools(kubectl=find_kubectl(), gradient=str(gradient))


@contextmanager
def stage(text: str) -> Iterator[None]:
    """Say what begins, let the tools speak for themselves, and say how long it took."""
    say(f"\n==> {text}")
    started = time.monotonic()
    yield
    say(f"==> {text}: done in {time.monotonic() - started:.1f} s")


def show(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run `command` with the terminal as its own, so that progress is seen; its exit code."""
    variables = {**os.environ, "PATH": search_path(), **(environment or {})}
    return subprocess.run(command, env=variables, cwd=ROOT, check=False).returncode


def call_tool(*words: str) -> None:
    """Run one of this folder's tools, which explains its failures itself."""
    code = show([sys.executable, "-m", *words])
    if code != 0:
        command = " ".join(["python3", "-m", *words])
        raise SetupError(
            f"`{command}` ended with exit code {code}: do what its last lines say, then repeat "
            "`make demo`; what is done already is not done again"
        )


def serve_repository(tools: Tools) -> None:
    """Make the namespace and have a git server in it hold the example's code."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    tools.kubectl("apply", "-f", "-", text=json.dumps(namespace))
    say(in_namespace(tools, "apply", "-k", str(EXAMPLE)).rstrip())
    limit = f"--timeout={ROLLOUT_SECONDS}s"
    try:
        in_namespace(tools, "rollout", "status", "deployment/git", limit)
    except SetupError as problem:
        pods = in_namespace(tools, "get", "pods", "-l", "app.kubernetes.io/name=git")
        raise SetupError(
            f"the git server is not ready after {ROLLOUT_SECONDS} s ({problem})\n{pods}\n"
            f"see why with: kubectl -n {NAMESPACE} describe pods -l app.kubernetes.io/name=git"
        ) from problem


def in_namespace(tools: Tools, *words: str) -> str:
    """What kubectl says, asked in the demo's namespace."""
    return tools.kubectl("-n", NAMESPACE, *words)


def gradient(tools: Tools, *words: str) -> int:
    """Call `gradient` in the demo's namespace as a person would, and show the command line."""
    say(f"$ gradient {' '.join(words)} --namespace {NAMESPACE}")
    return show([tools.gradient, *words, "--namespace", NAMESPACE], tools.kubectl.environment)


def list_runs(tools: Tools) -> list[dict[str, Any]]:
    """The runs in the demo's namespace."""
    items: list[dict[str, Any]] = json.loads(
        in_namespace(tools, "get", "gradientruns.gradient.run", "-o", "json")
    )["items"]
    return items


def newest(runs: Sequence[dict[str, Any]], *, but: frozenset[str]) -> dict[str, Any] | None:
    """The run that was created last, leaving out those with the names `but`."""
    left = [each for each in runs if each["metadata"]["name"] not in but]
    return max(left, key=lambda each: each["metadata"]["creationTimestamp"], default=None)


def run_pipeline(tools: Tools) -> dict[str, Any]:
    """Run the example to its end and return the run as it then is.

    Raises:
        SetupError: the run was not started or did not succeed; what is known of it was shown.
    """
    before = frozenset(each["metadata"]["name"] for each in list_runs(tools))
    code = gradient(tools, "run", str(WORKFLOW.relative_to(ROOT)), "--follow")
    made = newest(list_runs(tools), but=before)
    if made is None:
        raise SetupError(
            f"no run was started (exit code {code}); see whether the operator is up with: "
            "kubectl -n gradient-system get pods"
        )
    name, status = made["metadata"]["name"], made.get("status", {})
    phase = status.get("phase", "Pending")
    if code == 0 and phase == "Succeeded":
        return made
    gradient(tools, "show", name)
    job = failed_job(status)
    words = ["logs", name, job] if job else ["show", name]
    raise SetupError(
        f"the run {name} is {phase} (exit code {code}); look further with:\n"
        f"  export KUBECONFIG={kubeconfig_name(tools)}\n"
        f"  .venv/bin/gradient {' '.join(words)} --namespace {NAMESPACE}"
    )


def failed_job(status: Mapping[str, Any]) -> str | None:
    """The first job that failed by itself, not for want of another one."""
    jobs: Mapping[str, Any] = status.get("jobs", {})
    return next((name for name, job in jobs.items() if job.get("phase") == "Failed"), None)


def report(tools: Tools, finished: Mapping[str, Any]) -> None:
    """Show what the run did and what it left: graph with nodes, log, dataset versions, accuracy."""
    name = finished["metadata"]["name"]
    gradient(tools, "show", name)
    say("")
    gradient(tools, "logs", name, "Deploy")
    say("")
    gradient(tools, "dataset", "list")
    for dataset in ("digits", "digits-model", PICTURE):
        gradient(tools, "dataset", "versions", dataset)
    accuracy = finished["status"]["jobs"]["Evaluate"]["outputs"]["accuracy"]["value"]
    say(f"\nAccuracy of the model: {accuracy}")
    say("Fetch the picture of all predictions (contact-sheet.png) with:")
    say(f"  export KUBECONFIG={kubeconfig_name(tools)}")
    say(f"  .venv/bin/gradient dataset get {PICTURE} ./{PICTURE} --namespace {NAMESPACE}")


def kubeconfig_name(tools: Tools) -> str:
    """The kubeconfig as one would type it from the root of the checkout."""
    path = (
        tools.kubectl.environment.get("KUBECONFIG")
        or os.environ.get("KUBECONFIG")
        or "~/.kube/config"
    )
    return str(Path(path).relative_to(ROOT)) if Path(path).is_relative_to(ROOT) else path


def demonstrate() -> None:
    """Every step of the demo, in order."""
    before: tuple[tuple[str, Callable[[], None]], ...] = (
        ("Start the cluster", lambda: call_tool("hack.cluster", "up")),
        ("Build the images", lambda: call_tool("hack.images", "build")),
        ("Load the images into the cluster", lambda: call_tool("hack.images", "load")),
        ("Install CRDs, operator and object storage", lambda: call_tool("hack.install")),
    )
    for text, do in before:
        with stage(text):
            do()
    tools = find_tools()
    with stage("Serve the example's code from a git server in the cluster"):
        serve_repository(tools)
    with stage("Run the pipeline"):
        finished = run_pipeline(tools)
    with stage("What it made"):
        report(tools, finished)


def main() -> int:
    """Run the demo; 0 when the pipeline succeeded, else 1 after one sentence."""
    started = time.monotonic()
    try:
        demonstrate()
    except SetupError as problem:
        complain(f"\ndemo: {problem}")
        return 1
    except KeyboardInterrupt:
        complain("\ndemo: interrupted; repeat `make demo` to go on where it stopped")
        return 130
    say(f"\nThe demo took {time.monotonic() - started:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
