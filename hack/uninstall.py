"""`python3 -m hack.uninstall`: takes everything of ours out of the cluster, and leaves nothing.

It does not count on the operator, which may be gone or broken: finalizers that only it would
remove are removed here. What lies in a bucket outside the cluster stays there.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hack.errors import SetupError
from hack.install import NAMESPACE, Kubectl, find_kubectl
from hack.steps import complain, say, step

GROUP = "gradient.run"
FINALIZER = f"{GROUP}/result"
PART_OF = "app.kubernetes.io/part-of=gradient"
MANAGED = "app.kubernetes.io/managed-by=gradient-operator"
# Runs before workflows, so that no workflow that is still there is asked for a run's owner.
KINDS = tuple(
    f"{plural}.{GROUP}"
    for plural in (
        "gradientruns",
        "gradientworkflows",
        "gradientmodels",
        "gradientdatasetversions",
        "gradientdatasets",
        "gradientstorageproviders",
        "gradientinstancetypes",
    )
)
BATCH = 200
LIMIT = "--timeout=180s"


@dataclass(frozen=True, slots=True)
class Found:
    """An object that is to go, and the finalizers on it that are not ours."""

    kind: str
    namespace: str
    name: str
    held: bool
    """Whether a finalizer of ours holds it."""
    foreign: tuple[str, ...]


def read(document: str) -> Iterator[Found]:
    """The objects of a list as kubectl prints it."""
    listed: dict[str, Any] = json.loads(document) if document.strip() else {"items": []}
    for item in listed["items"]:
        metadata = item["metadata"]
        finalizers = metadata.get("finalizers", [])
        foreign = tuple(each for each in finalizers if not each.startswith(f"{GROUP}/"))
        yield Found(
            kind=item["kind"],
            namespace=metadata.get("namespace", ""),
            name=metadata["name"],
            held=len(foreign) < len(finalizers),
            foreign=foreign,
        )


def find(kubectl: Kubectl, resource: str, *words: str) -> list[Found]:
    """All objects of a resource in all namespaces; none where the resource itself is unknown."""
    done = kubectl.attempt("get", resource, "-A", "-o", "json", *words)
    if not done.succeeded and "the server doesn't have a resource type" in done.errors:
        return []
    if not done.succeeded:
        raise SetupError(f"cannot list {resource}: {done.errors.strip()}")
    return list(read(done.output))


def batches(found: Sequence[Found]) -> Iterator[tuple[list[str], list[str], tuple[str, ...]]]:
    """Names that one call of kubectl can take, its namespace flags, and their other finalizers."""
    groups: defaultdict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for each in found:
        groups[each.namespace, each.foreign].append(each.name)
    for (namespace, foreign), names in groups.items():
        flags = ["-n", namespace] if namespace else []
        for start in range(0, len(names), BATCH):
            yield names[start : start + BATCH], flags, foreign


def release(kubectl: Kubectl, resource: str, found: Sequence[Found]) -> None:
    """Remove our finalizers, and only ours."""
    for names, flags, foreign in batches([each for each in found if each.held]):
        patch = json.dumps({"metadata": {"finalizers": list(foreign)}})
        done = kubectl.attempt("patch", resource, *names, *flags, "--type=merge", "-p", patch)
        if not done.succeeded and "not found" not in done.errors:
            raise SetupError(f"cannot release {resource}: {done.errors.strip()}")


def remove(kubectl: Kubectl, resource: str, *words: str) -> int:
    """Delete all objects of a resource, freeing those that wait for us; how many there were."""
    found = find(kubectl, resource, *words)
    for names, flags, _ in batches(found):
        kubectl("delete", resource, *names, *flags, "--ignore-not-found", "--wait=false")
    release(kubectl, resource, found)
    for names, flags, _ in batches(found):
        kubectl("delete", resource, *names, *flags, "--ignore-not-found", LIMIT)
    return len(found)


def stop_operator(kubectl: Kubectl) -> None:
    """First of all, so that nothing is made again while it is being removed."""
    with step("operator stopped"):
        kubectl("delete", "deployment", "-n", NAMESPACE, "-l", PART_OF, "--ignore-not-found", LIMIT)
        pods = ("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=gradient-operator")
        kubectl("delete", *pods, "--ignore-not-found", LIMIT)


def uninstall(kubectl: Kubectl) -> None:
    """Every step, in order."""
    stop_operator(kubectl)
    for kind in KINDS:
        with step(f"{kind} removed"):
            remove(kubectl, kind)
    with step("Pods, claims and credentials of runs removed in all namespaces"):
        remove(kubectl, "pods", "-l", MANAGED)
        remove(kubectl, "persistentvolumeclaims", "-l", MANAGED)
        remove(kubectl, "secrets", "-l", MANAGED)
    with step("custom resource definitions removed"):
        kubectl("delete", "crd", "-l", PART_OF, "--ignore-not-found", LIMIT)
    with step(f"cluster roles and the namespace {NAMESPACE} removed"):
        kubectl("delete", "clusterrolebinding,clusterrole", "-l", PART_OF, LIMIT)
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", LIMIT)


def main() -> int:
    """Uninstall; every failure is one sentence and exit code 1."""
    try:
        uninstall(find_kubectl())
    except SetupError as problem:
        complain(f"uninstall: {problem}")
        return 1
    except KeyboardInterrupt:
        complain("uninstall: interrupted; repeat `make uninstall` to go on where it stopped")
        return 130
    say("Nothing of the operator is left in the cluster.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
