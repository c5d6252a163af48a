"""A group of commands, each in a module that is imported when the command is asked for."""

import importlib
from typing import Final

import click

_MISSPELT: Final = 0.6


class OutputClosed(Exception):
    """The reader of the output has left; click itself would end the process with 1."""


class LazyGroup(click.Group):
    """A group whose commands are modules, imported when they are asked for."""

    def __init__(self, *args: object, modules: dict[str, str], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._modules = modules

    def invoke(self, ctx: click.Context) -> object:
        """Run the command.

        Raises:
            OutputClosed: standard output has no reader any more.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise OutputClosed from None

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All commands, in the order in which people need them."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; an unknown one is refused with the nearest name."""
        if cmd_name in self._modules:
            command: click.Command = importlib.import_module(self._modules[cmd_name]).command
            return command
        import difflib

        near = difflib.get_close_matches(cmd_name, self._modules, n=1, cutoff=_MISSPELT)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(self._modules)}."
        raise click.UsageError(f"There is no command '{cmd_name}': {hint}", ctx)
