"""`gradient model`: the models that runs have registered, and their files."""

from typing import Final

import click

from gradient_operator.cli.lazy_group import LazyGroup

COMMANDS: Final = {
    "list": "gradient_operator.cli.model.list",
    "get": "gradient_operator.cli.model.get",
}
"""Command to module; the module has it as `command`."""


@click.group(name="model", cls=LazyGroup, modules=COMMANDS)
def command() -> None:
    """List registered models, and get their files.

    A model is a name and a kind for a dataset version. NAME alone is the one that was registered
    last, NAME:VERSION another one; its id does as well.
    """
