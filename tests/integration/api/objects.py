"""Objects that the tests send to the API server, and the program that sends them."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradient_operator.api.names import API_VERSION

DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class Answer:
    """What kubectl said; `text` is both of its streams."""

    code: int
    text: str
    output: str


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl for one namespace; JSON goes in by standard input."""

    kubeconfig: Path
    namespace: str

    def __call__(self, *arguments: str, document: Any = None) -> Answer:
        text = document if isinstance(document, str) else json.dumps(document)
        done = subprocess.run(
            ["kubectl", "--kubeconfig", self.kubeconfig, "--namespace", self.namespace, *arguments],
            input=text if document is not None else "",
            capture_output=True,
            text=True,
            check=False,
        )
        return Answer(done.returncode, done.stdout + done.stderr, done.stdout)

    def create(self, document: Any) -> Answer:
        return self("create", "-f", "-", document=document)

    def apply(self, document: Any, *, server_side: bool = True) -> Answer:
        return self("apply", "-f", "-", *["--server-side"] * server_side, document=document)

    def patch(self, resource: str, patch: dict[str, Any], *arguments: str) -> Answer:
        return self("patch", resource, "--type=merge", "-p", json.dumps(patch), *arguments)

    def get(self, resource: str) -> dict[str, Any]:
        answer = self("get", resource, "-o", "json")
        assert answer.code == 0, answer.text
        document: dict[str, Any] = json.loads(answer.output)
        return document


def thing(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def workflow(name: str, jobs: dict[str, Any], **more: Any) -> dict[str, Any]:
    return thing("GradientWorkflow", name, {"jobs": jobs, **more})


def job(*needs: str, **more: Any) -> dict[str, Any]:
    spec = {"uses": "script@v1", "with": {"script": "true", "image": "bash:5"}, **more}
    return spec | {"needs": [*needs]} if needs else spec


def run(name: str, **spec: Any) -> dict[str, Any]:
    return thing("GradientRun", name, {"definition": {"jobs": {"A": job()}}, **spec})


def version(name: str) -> dict[str, Any]:
    spec = {"dataset": "cats", "version": "abcdefgh2345", "digest": DIGEST, "bytes": 1, "files": 1}
    return thing("GradientDatasetVersion", name, spec)


def model(name: str) -> dict[str, Any]:
    spec = {"name": "m", "type": "Tensorflow", "dataset": "cats", "version": "abcdefgh2345"}
    return thing("GradientModel", name, spec | {"digest": DIGEST})


def fan(width: int, **more: Any) -> dict[str, Any]:
    """One job, `width` that need it, and one that needs them all."""
    middle = {f"M{index:05}": job("First", **more) for index in range(width)}
    return {"First": job(**more), **middle, "Last": job(*middle, **more)}
