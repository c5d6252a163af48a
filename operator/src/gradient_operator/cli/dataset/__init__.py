"""`gradient dataset`: what lies in datasets, and how it gets in and out."""

from typing import Final

import click

from gradient_operator.cli.lazy_group import LazyGroup

COMMANDS: Final = {
    "list": "gradient_operator.cli.dataset.list",
    "versions": "gradient_operator.cli.dataset.versions",
    "files": "gradient_operator.cli.dataset.files",
    "cat": "gradient_operator.cli.dataset.cat",
    "get": "gradient_operator.cli.dataset.get",
    "put": "gradient_operator.cli.dataset.put",
    "tag": "gradient_operator.cli.dataset.tag",
    "untag": "gradient_operator.cli.dataset.untag",
    "lineage": "gradient_operator.cli.dataset.lineage",
    "provenance": "gradient_operator.cli.dataset.provenance",
    "diff": "gradient_operator.cli.dataset.diff",
    "verify": "gradient_operator.cli.dataset.verify",
    "export": "gradient_operator.cli.dataset.export",
    "import": "gradient_operator.cli.dataset.importing",
    "gc": "gradient_operator.cli.dataset.gc",
    "recover": "gradient_operator.cli.dataset.recover",
}
"""Command to module; the module has it as `command`."""


@click.group(name="dataset", cls=LazyGroup, modules=COMMANDS)
def command() -> None:
    """Look into datasets, get and put data.

    NAME alone is the newest version; NAME:VERSION and NAME:TAG name another one. Data travels
    directly between this machine and the object storage; where that is a Service of the cluster,
    kubectl forwards a port to it.
    """
