"""Every command of ours that the pages name exists, with the options that they give it."""

import re
from pathlib import Path

import click
import pytest

from gradient_operator.cli.main import cli

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SPAN = re.compile(r"`gradient ([^`]+)`|^\$ gradient ([^#\n]+)", re.MULTILINE)


def commands():
    for page in PAGES:
        for match in SPAN.finditer(page.read_text(encoding="utf-8")):
            text = (match[1] or match[2]).split("|")[0].split(">")[0].replace("\\", "").strip()
            yield pytest.param(text, id=f"{page.relative_to(ROOT)}: {text}")


@pytest.mark.parametrize("text", list(commands()))
def test_a_command_exists_with_its_options(text):
    words = text.split()
    command, context = cli, click.Context(cli)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name!r}"
        command = found
    known = {flag for parameter in command.params for flag in parameter.opts} | {"--help", "-h"}
    for word in words:
        if re.match(r"--?[a-z]", word):
            assert word.partition("=")[0] in known, f"{command.name} has no option {word}"
