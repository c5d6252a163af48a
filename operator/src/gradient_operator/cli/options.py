"""Options that several commands share: which cluster and namespace, and the form of the output."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster and namespace that were asked for; None is what the kubeconfig says."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None


def target_options(function: F) -> F:
    """Add -n, --context and --kubeconfig; the function gets them as `target`."""

    @click.option("-n", "--namespace", metavar="NAME", help="Namespace, if not the kubeconfig's.")
    @click.option("--context", metavar="NAME", help="Context of the kubeconfig.")
    @click.option("--kubeconfig", metavar="FILE", type=click.Path(), help="Instead of KUBECONFIG.")
    @wraps(function)
    def wrapped(
        *args: Any,
        namespace: str | None,
        context: str | None,
        kubeconfig: str | None,
        **kwargs: Any,
    ) -> Any:
        target = Target(namespace=namespace, context=context, kubeconfig=kubeconfig)
        return function(*args, target=target, **kwargs)

    return wrapped  # type: ignore[return-value]


output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    help="table (default) or json.",
)
