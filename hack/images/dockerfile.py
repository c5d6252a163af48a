"""The part of a Dockerfile that is needed to build our images without Docker.

A Dockerfile is the one description of each larger image: Docker builds it where there is Docker,
and elsewhere this module reads the same file. It understands what ours use, and refuses everything
else rather than to guess: stages; FROM with an outside image that `hack.images.docker_build` knows;
COPY of files from the repository or of one path from a stage; RUN in a stage that is copied from;
ENV, WORKDIR, USER, ENTRYPOINT and CMD in the exec form.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hack.errors import SetupError
from hack.images.oci import ImageConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

INSTRUCTION = re.compile(r"^([A-Z]+)\s+(.*)$", re.DOTALL)
# A COPY has a source and a target.
FEWEST_WORDS = 2
KNOWN = frozenset({"FROM", "COPY", "RUN", "ENV", "WORKDIR", "USER", "ENTRYPOINT", "CMD"})


@dataclass(frozen=True, slots=True)
class Copy:
    """A COPY: from a stage, or from the repository where there is no stage."""

    sources: tuple[str, ...]
    target: str
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A RUN, with the environment and the folder that were set before it."""

    script: str
    environment: Mapping[str, str]
    folder: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: what it starts from, what it does, and what a container of it is started with."""

    name: str
    parent: str
    actions: tuple[Copy | Run, ...] = ()
    settings: ImageConfig = field(default_factory=ImageConfig)

    def copies(self) -> list[Copy]:
        """The COPY instructions."""
        return [action for action in self.actions if isinstance(action, Copy)]


def logical_lines(text: str) -> list[str]:
    """Instructions, each in one line: comments dropped, continued lines joined."""
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(kept))
    return [line.strip() for line in joined.splitlines() if line.strip()]


def parse(text: str) -> dict[str, Stage]:
    """The stages by name, in order; a stage without a name is called by its number."""
    stages: dict[str, Stage] = {}
    current: Stage | None = None
    for line in logical_lines(text):
        match = INSTRUCTION.match(line)
        if not match or match[1] not in KNOWN:
            raise SetupError(f"this instruction is not understood without Docker: {line}")
        instruction, rest = match[1], match[2].strip()
        if instruction == "FROM":
            words = rest.split()
            name = words[2] if words[1:2] == ["AS"] else str(len(stages))  # IMAGE AS NAME
            parent = words[0]
            inherited = stages[parent].settings if parent in stages else ImageConfig()
            current = Stage(name=name, parent=parent, settings=inherited)
        elif current is None:
            raise SetupError(f"a Dockerfile starts with FROM, not with: {line}")
        else:
            current = extend(current, instruction, rest)
        stages[current.name] = current
    if not stages:
        raise SetupError("the Dockerfile is empty")
    return stages


def extend(stage: Stage, instruction: str, rest: str) -> Stage:
    """The stage with one instruction more."""
    settings = stage.settings
    if instruction in {"COPY", "RUN"}:
        action: Copy | Run = (
            parse_copy(rest, settings.working_folder)
            if instruction == "COPY"
            else Run(rest, settings.environment, settings.working_folder or "/")
        )
        return Stage(stage.name, stage.parent, (*stage.actions, action), settings)
    return Stage(stage.name, stage.parent, stage.actions, changed(settings, instruction, rest))


def changed(settings: ImageConfig, instruction: str, rest: str) -> ImageConfig:
    """The settings after an instruction that changes them."""
    match instruction:
        case "ENV":
            variables = {**settings.environment, **parse_environment(rest)}
            return replace(settings, environment=variables)
        case "WORKDIR":
            return replace(settings, working_folder=rest)
        case "USER":
            return replace(settings, user=rest)
        case "ENTRYPOINT":
            return replace(settings, entrypoint=exec_form(rest))
        case _:
            return replace(settings, command=exec_form(rest))


def parse_environment(rest: str) -> dict[str, str]:
    """NAME=VALUE pairs."""
    pairs = [word.partition("=") for word in shlex.split(rest)]
    if not all(separator for _, separator, _ in pairs):
        raise SetupError(f"ENV needs NAME=VALUE: {rest}")
    return {name: value for name, _, value in pairs}


def exec_form(rest: str) -> tuple[str, ...]:
    """A command as a JSON list; the other form would wrap it into a shell that swallows signals."""
    try:
        words = json.loads(rest)
    except ValueError as problem:
        raise SetupError(f"this command is not in the exec form: {rest}") from problem
    return tuple(str(word) for word in words)


def parse_copy(rest: str, folder: str) -> Copy:
    """COPY [--from=STAGE] SOURCE... TARGET; a relative target is in the working folder."""
    words = shlex.split(rest)
    stage = ""
    if words[0].startswith("--from="):
        stage = words.pop(0).removeprefix("--from=")
    if len(words) < FEWEST_WORDS or words[0].startswith("--"):  # a source and a target
        raise SetupError(f"this COPY is not understood without Docker: {rest}")
    *sources, target = words
    into_folder = target.endswith("/") or target == "."
    absolute = str(Path(folder or "/", target))
    return Copy(tuple(sources), f"{absolute.rstrip('/')}/" if into_folder else absolute, stage)
