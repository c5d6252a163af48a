"""`gradient manifest`: a plain Gradient file as the object that kubectl and GitOps take."""

from collections.abc import Mapping
from typing import Any

import click


@click.command(
    name="manifest",
    epilog="Example: gradient manifest .gradient/workflows/train.yaml | kubectl apply -f -",
)
@click.argument("file", metavar="FILE")
@click.option("--name", metavar="NAME", help="Name of the workflow, if not the file's name.")
@click.option("-n", "--namespace", metavar="NAME", help="Namespace to write into the object.")
@click.option(
    "-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", help="yaml or json."
)
def command(*, file: str, name: str | None, namespace: str | None, output: str) -> None:
    """Print a file as a GradientWorkflow.

    FILE is a plain Gradient file; '-' reads standard input. Apply it with kubectl, or commit it
    for Argo CD or Flux. The key "on" is quoted, because kubectl
    reads a bare on as true.
    """
    from gradient_operator.cli.definition import read_definition
    from gradient_operator.cli.yaml_text import to_yaml

    definition = read_definition(file, name=name)
    content = workflow_object(
        definition.name,
        namespace=namespace or definition.namespace,
        spec=definition.spec,
        policy=definition.policy,
        metadata=definition.metadata or {},
    )
    if output == "json":
        import json

        click.echo(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        click.echo(to_yaml(content), nl=False)


def workflow_object(
    name: str,
    *,
    namespace: str | None,
    spec: Mapping[str, Any],
    policy: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A `GradientWorkflow`; of `metadata` it takes labels and annotations."""
    from gradient_operator.api.names import API_VERSION

    place = {"namespace": namespace} if namespace else {}
    kept = {key: metadata[key] for key in ("labels", "annotations") if metadata and key in metadata}
    full = dict(spec) if policy is None else {**spec, "policy": dict(policy)}
    return {
        "apiVersion": API_VERSION,
        "kind": "GradientWorkflow",
        "metadata": {"name": name, **place, **kept},
        "spec": full,
    }
