"""`python3 -m hack.install`: everything in `manifests/` into the cluster, waited for step by step.

Safe to run again: what is there stays, what has changed is rolled out, credentials are kept. The
cluster is that of `.local/kubeconfig`, or with CLUSTER=existing that of the caller's KUBECONFIG.
"""

import argparse
import base64
import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hack.checkout import LOCAL, ROOT
from hack.commands import Result, attempt, run, search_path
from hack.errors import SetupError
from hack.steps import complain, say, step

NAMESPACE = "gradient-system"
OPERATOR = "deployment/gradient-operator"
STORAGE = "statefulset/seaweedfs"
CREDENTIALS = "gradient-storage-default"
IDENTITIES = "seaweedfs-identities"
OVERLAYS = ROOT / "manifests" / "overlays"
ESTABLISHED_SECONDS = 60
ROLLOUT_SECONDS = 240
LOOK_SECONDS = 10
MOST_RESTARTS = 2
UNPULLABLE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl, and the environment that leads it to the cluster."""

    program: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, text: str | None = None) -> str:
        """What kubectl prints; raises with its last lines where it fails."""
        return run([self.program, *words], text=text, environment=self.environment)

    def attempt(self, *words: str, text: str | None = None) -> Result:
        """How kubectl ended, for a question whose answer may be no."""
        return attempt([self.program, *words], text=text, environment=self.environment)

    def full_environment(self) -> dict[str, str]:
        """For a kubectl that goes on running beside this program."""
        return {**os.environ, "PATH": search_path(), **self.environment}

    def apply(self, *words: str, text: str | None = None) -> int:
        """Apply on the server, where large schemas fit, and take our fields; how many objects."""
        done = self("apply", "--server-side", "--force-conflicts", *words, text=text)
        return len(done.splitlines())


def find_kubectl() -> Kubectl:
    """The program for the chosen cluster, which must answer.

    Raises:
        SetupError: there is no kubectl, no kubeconfig, or no answer.
    """
    own = LOCAL / "bin" / "kubectl"
    program = str(own) if own.exists() else shutil.which("kubectl", path=search_path())
    if program is None:
        raise SetupError("kubectl is missing; install a version of the cluster's or newer")
    environment = {}
    if os.environ.get("CLUSTER") != "existing":
        path = LOCAL / "kubeconfig"
        if not path.exists():
            raise SetupError(
                "no cluster of this checkout is up; start one with `make cluster`, "
                "or use your own with CLUSTER=existing and KUBECONFIG"
            )
        environment = {"KUBECONFIG": str(path)}
    kubectl = Kubectl(program, environment)
    answer = kubectl.attempt("get", "--raw", "/readyz", "--request-timeout=10s")
    if not answer.succeeded:
        said = answer.errors.strip().splitlines() or ["no answer"]
        raise SetupError(
            f"the cluster does not answer ({said[-1]}); start it with `make cluster`, "
            "or check KUBECONFIG if it is your own"
        )
    return kubectl


def install_definitions(kubectl: Kubectl) -> None:
    """Apply the CRDs and wait until the API server serves them."""
    folder = str(ROOT / "crds")
    with step("custom resource definitions established"):
        kubectl.apply("-f", folder)
        limit = f"--timeout={ESTABLISHED_SECONDS}s"
        kubectl("wait", "--for=condition=Established", limit, "-f", folder)


def read_secret(kubectl: Kubectl, name: str) -> dict[str, str] | None:
    """The decoded values of a Secret in our namespace, or None if there is none."""
    words = ("get", "secret", name, "-n", NAMESPACE, "--ignore-not-found", "-o", "json")
    found = kubectl(*words)
    if not found.strip():
        return None
    data: dict[str, str] = json.loads(found).get("data", {})
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def make_secret(kubectl: Kubectl, name: str, values: Mapping[str, str]) -> dict[str, str]:
    """Create a Secret in our namespace, unless another installation was faster; its values.

    They never stand on a command line.
    """
    document = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": dict(values),
    }
    done = kubectl.attempt("create", "-f", "-", text=json.dumps(document))
    if done.succeeded:
        return dict(values)
    there = read_secret(kubectl, name)
    if there is None:
        raise SetupError(f"Secret {name} cannot be made: {done.errors.strip()}")
    return there


def identities_of(keys: Mapping[str, str]) -> dict[str, str]:
    """SeaweedFS's file of who may do what: one identity that may do everything."""
    credentials = [{"accessKey": keys["accessKeyId"], "secretKey": keys["secretAccessKey"]}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "gradient", "credentials": credentials, "actions": actions}
    return {"identities.json": json.dumps({"identities": [identity]})}


def keys_of(identities: Mapping[str, str]) -> dict[str, str]:
    """The other way round, for when only the server's half is left."""
    (first, *_) = json.loads(identities["identities.json"])["identities"]
    credential = first["credentials"][0]
    return {"accessKeyId": credential["accessKey"], "secretAccessKey": credential["secretKey"]}


def provide_credentials(kubectl: Kubectl) -> None:
    """Both halves of the storage's credentials, generated at the first time and then kept."""
    keys = read_secret(kubectl, CREDENTIALS)
    identities = read_secret(kubectl, IDENTITIES)
    if keys is not None and identities is not None:
        say("        storage credentials are there already: kept")
        return
    with step("storage credentials generated"):
        if keys is None:
            fresh = {
                "accessKeyId": secrets.token_hex(10),
                "secretAccessKey": secrets.token_urlsafe(30),
            }
            keys = fresh if identities is None else keys_of(identities)
            keys = make_secret(kubectl, CREDENTIALS, keys)
        if identities is None:
            make_secret(kubectl, IDENTITIES, identities_of(keys))


def generation(kubectl: Kubectl, workload: str) -> str:
    """The version of a workload's spec; empty if there is none yet."""
    words = ("get", workload, "-n", NAMESPACE, "--ignore-not-found")
    return kubectl(*words, "-o", "jsonpath={.metadata.generation}")


def stuck(kubectl: Kubectl, name: str) -> str:
    """Why a workload's Pods will not get ready by waiting, as a sentence; empty if they may."""
    words = ("get", "pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/name={name}", "-o", "json")
    for pod in json.loads(kubectl(*words))["items"]:
        for container in pod.get("status", {}).get("containerStatuses", []):
            reason = container.get("state", {}).get("waiting", {}).get("reason", "")
            where = f"container {container['name']} of Pod {pod['metadata']['name']}"
            if reason == "CrashLoopBackOff" and container["restartCount"] >= MOST_RESTARTS:
                pod_name = pod["metadata"]["name"]
                log = kubectl.attempt(
                    "logs", "-n", NAMESPACE, pod_name, "--previous", "--tail=3"
                ).output
                return f"{where} keeps ending; its last words:\n{log}"
            if reason in UNPULLABLE:
                return f"{where} has no image ({reason}): `make load`, then `make install` again"
    return ""


def roll_out(kubectl: Kubectl, workload: str) -> None:
    """Wait until a workload is ready, and say why where it does not get there."""
    name = workload.partition("/")[2]
    with step(f"{workload} is ready"):
        for _ in range(ROLLOUT_SECONDS // LOOK_SECONDS):
            limit = f"--timeout={LOOK_SECONDS}s"
            if kubectl.attempt("rollout", "status", workload, "-n", NAMESPACE, limit).succeeded:
                return
            why = stuck(kubectl, name)
            if why:
                raise SetupError(f"{workload} does not get ready: {why}")
    pods = kubectl.attempt("get", "pods", "-n", NAMESPACE, "-o", "wide").output
    raise SetupError(
        f"{workload} is not ready after {ROLLOUT_SECONDS} s\n{pods}"
        f"see why with: kubectl -n {NAMESPACE} describe pods -l app.kubernetes.io/name={name}"
    )


def install(kubectl: Kubectl, overlay: Path) -> None:
    """Every step, in order."""
    rendered = kubectl("kustomize", str(overlay))
    install_definitions(kubectl)
    kubectl.apply("-f", str(ROOT / "manifests" / "base" / "namespace.yaml"))
    own_storage = IDENTITIES in rendered
    if own_storage:
        provide_credentials(kubectl)
    before = generation(kubectl, OPERATOR)
    with step(f"{overlay.name} applied"):
        kubectl.apply("-f", "-", text=rendered)
    if before and before == generation(kubectl, OPERATOR):
        # The tag of a development image stays the same when its content changes.
        kubectl("rollout", "restart", OPERATOR, "-n", NAMESPACE)
    for workload in (STORAGE, OPERATOR) if own_storage else (OPERATOR,):
        roll_out(kubectl, workload)


def find_overlay(name: str) -> Path:
    """The folder of an overlay, by its name in `manifests/overlays` or by its path."""
    for folder in (OVERLAYS / name, Path(name)):
        if (folder / "kustomization.yaml").exists():
            return folder
    known = ", ".join(sorted(path.name for path in OVERLAYS.iterdir()))
    raise SetupError(f"there is no overlay {name!r}; choose from {known}, or give a folder's path")


def main(arguments: list[str] | None = None) -> int:
    """Install; every failure is one sentence and exit code 1."""
    parser = argparse.ArgumentParser(prog="python3 -m hack.install", description=__doc__)
    parser.add_argument(
        "--overlay",
        default=os.environ.get("OVERLAY") or "local",
        help="a name in manifests/overlays, or a folder of your own (default: local)",
    )
    options = parser.parse_args(arguments)
    try:
        install(find_kubectl(), find_overlay(options.overlay))
    except SetupError as problem:
        complain(f"install: {problem}")
        return 1
    except KeyboardInterrupt:
        complain("install: interrupted; repeat `make install` to go on where it stopped")
        return 130
    say("The operator is installed. Try it with:")
    if os.environ.get("CLUSTER") != "existing":
        say(f"  export KUBECONFIG={(LOCAL / 'kubeconfig').relative_to(ROOT)}")
    say("  kubectl apply -f examples/hello.yaml && kubectl get gwf,gwr")
    return 0


if __name__ == "__main__":
    sys.exit(main())
