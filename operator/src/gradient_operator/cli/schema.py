"""`gradient schema`: the JSON Schema of Gradient files, for editors."""

import click


@click.command(
    name="schema",
    epilog="Example: gradient schema >.gradient/workflow.schema.json, and as first line of a file: "
    "# yaml-language-server: $schema=../workflow.schema.json",
)
def command() -> None:
    """Print the JSON Schema of Gradient files.

    Editors complete and check a file with it while it is written: VS Code with the YAML
    extension, and whatever else speaks to yaml-language-server. It knows keys and values; whether
    the jobs fit together is what 'gradient lint' checks.
    """
    from gradient_operator.workflow.schema import text

    click.echo(text(), nl=False)
