"""The Dockerfiles are within what can be built without Docker, and say what they must.

Both ways read the same files, so they cannot differ in what these say; what stands for an outside
image or an installed tool is written twice, and compared here.
"""

from __future__ import annotations

import re

import pytest

from hack.checkout import ROOT
from hack.errors import SetupError
from hack.images import catalogue, debian, docker_build, dockerfile
from hack.images.dockerfile import Copy, Run, Stage

PATHS = {name: ROOT / described.dockerfile for name, described in catalogue.DESCRIBED.items()}


def stages(name: str) -> dict[str, Stage]:
    return dockerfile.parse(PATHS[name].read_text())


def final(name: str) -> Stage:
    return list(stages(name).values())[-1]


@pytest.mark.parametrize("name", sorted(PATHS))
def test_every_outside_image_has_a_stand_in(name: str):
    found = stages(name)
    outside = {stage.parent for stage in found.values()} - set(found)
    assert outside <= {docker_build.DEBIAN, docker_build.BUSYBOX}


@pytest.mark.parametrize("name", sorted(PATHS))
def test_stages_on_debian_itself_install_the_list_of_the_base_layer(name: str):
    for stage in stages(name).values():
        if stage.parent != docker_build.DEBIAN or stage.name == docker_build.TOOLS_STAGE:
            continue
        copy, run = stage.actions
        assert isinstance(copy, Copy)
        assert isinstance(run, Run)
        sources = [ROOT / source for source in copy.sources]
        assert sources == [debian.PACKAGE_LIST]
        assert f"< {copy.target}" in run.script
        # Packages named beside the list would be missing from the base layer.
        installs = re.findall(r"apt-get install (.*?) (?:<|&&|$)", run.script)
        assert installs == ["--yes --no-install-recommends"]


def test_base_image_and_base_layer_are_the_same_release():
    assert f"debian:{debian.RELEASE}-slim" == docker_build.DEBIAN


@pytest.mark.parametrize("name", sorted(PATHS))
def test_tools_come_from_the_same_pinned_packages(name: str):
    found = stages(name)
    installed = " ".join(
        action.script
        for action in found[docker_build.TOOLS_STAGE].actions
        if isinstance(action, Run)
    )
    copied = [
        copy
        for stage in found.values()
        for copy in stage.copies()
        if copy.stage == docker_build.TOOLS_STAGE
    ]
    assert copied
    for copy in copied:
        package, _ = docker_build.TOOLS[copy.sources[0]]
        pins = [
            source
            for one in found[docker_build.TOOLS_STAGE].copies()
            for source in one.sources
            if source == f"hack/pins/{package}.txt"
        ]
        assert pins
        assert f"--require-hashes --requirement /tmp/{package}.txt" in installed


@pytest.mark.parametrize("name", sorted(PATHS))
def test_everything_that_is_copied_from_the_repository_is_there(name: str):
    for stage in stages(name).values():
        for copy in stage.copies():
            if not copy.stage:
                assert docker_build.repository_files(copy)


def test_operator_image_is_started_as_the_manifests_expect():
    settings = final("operator").settings
    assert settings.entrypoint == ("/app/.venv/bin/gradient-operator",)
    assert settings.user == "65532:65532"
    assert settings.working_folder == "/app"
    assert settings.environment["PATH"].split(":")[0] == "/app/.venv/bin"
    assert settings.environment["HOME"] == "/tmp"


def test_operator_image_holds_the_locked_dependencies_and_the_project():
    scripts = [
        action.script for action in stages("operator")["build"].actions if isinstance(action, Run)
    ]
    assert all("uv sync --locked --no-dev --no-editable" in script for script in scripts)
    assert "--no-install-project" in scripts[0]
    assert "--no-install-project" not in scripts[-1]
    (copy,) = final("operator").copies()
    assert copy == Copy(("/app",), "/app", "build")


def test_operator_image_is_built_with_the_interpreter_that_it_runs_with():
    environment = dict(stages("operator")["build"].settings.environment)
    assert environment["UV_PYTHON"] == "/usr/bin/python3"
    assert environment["UV_PYTHON_DOWNLOADS"] == "never"
    assert environment["UV_PROJECT_ENVIRONMENT"] == "/app/.venv"
    assert "python3" in debian.packages()


def test_images_do_not_run_as_root_where_they_are_ours_to_decide():
    assert final("seaweedfs").settings.user == final("operator").settings.user


def test_parse_joins_lines_and_keeps_settings_of_the_parent():
    found = dockerfile.parse(
        """
        # a comment
        FROM debian:bookworm-slim AS base
        ENV A=1 \\
            # between
            B="two words"
        WORKDIR /src
        RUN first \\
            && second
        FROM base
        COPY --from=base /a /a
        COPY one two ./
        CMD ["run", "it"]
        """
    )
    assert found["base"].actions == (Run("first && second", {"A": "1", "B": "two words"}, "/src"),)
    last = found["1"]
    assert last.settings.environment == {"A": "1", "B": "two words"}
    assert last.settings.command == ("run", "it")
    assert last.copies() == [Copy(("/a",), "/a", "base"), Copy(("one", "two"), "/src/", "")]


@pytest.mark.parametrize(
    "line", ["ADD a b", "COPY --chown=1 a b", "CMD run it", "ENV A 1", "SHELL bash"]
)
def test_parse_refuses_what_it_does_not_understand(line: str):
    with pytest.raises(SetupError):
        dockerfile.parse(f"FROM debian:bookworm-slim\n{line}")


def test_names_of_stand_ins_are_written_in_full():
    for name in catalogue.STAND_IN_FOR:
        assert re.fullmatch(r"[a-z.]+\.(io|com)/[a-z0-9/_.-]+:[A-Za-z0-9_.-]+", name)
