"""The repository that the demo clones: reproducible as a commit, and its programs run."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[3] / "examples" / "demo"
PROGRAMS = ("prepare", "train", "evaluate", "contact_sheet")

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="install git")
needs_libraries = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("numpy", "sklearn", "PIL")),
    reason="needs numpy, scikit-learn and pillow, which the project itself does not use",
)


def make_repository(source: Path, target: Path, **environment: str) -> str:
    command = ["bash", DEMO / "make-repository.sh", source, target]
    variables = {**os.environ, **environment}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@needs_git
def test_the_same_files_make_the_same_commit_whoever_makes_it(tmp_path):
    settings = tmp_path / "settings"
    settings.write_text(
        "[user]\n name = x\n[core]\n fileMode = false\n[i18n]\n commitEncoding = x\n"
    )
    copy = tmp_path / "copy"
    shutil.copytree(DEMO / "repository", copy)
    for path in copy.iterdir():
        path.chmod(0o777)
    first = make_repository(DEMO / "repository", tmp_path / "first.git", TZ="UTC")
    second = make_repository(
        copy, tmp_path / "second.git", TZ="Asia/Tokyo", GIT_CONFIG_GLOBAL=str(settings)
    )
    assert len(first) == 40
    assert second == first


@needs_git
def test_a_changed_file_makes_another_commit_in_the_same_place(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "program.py").write_text("print(1)\n")
    before = make_repository(source, tmp_path / "digits.git")
    (source / "program.py").write_text("print(2)\n")
    assert make_repository(source, tmp_path / "digits.git") != before


@needs_git
def test_files_are_taken_from_behind_the_links_of_a_config_map(tmp_path):
    source = tmp_path / "source"
    (source / "..data").mkdir(parents=True)
    (source / "..data" / "program.py").write_text("print(1)\n")
    (source / "program.py").symlink_to("..data/program.py")
    make_repository(source, tmp_path / "digits.git")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", tmp_path / "digits.git", clone], check=True)
    assert [path.name for path in clone.iterdir() if path.name != ".git"] == ["program.py"]
    assert not (clone / "program.py").is_symlink()
    assert (clone / "program.py").read_text() == "print(1)\n"


@pytest.mark.parametrize("name", [*PROGRAMS, "digits"])
def test_a_program_compiles(name):
    path = DEMO / "repository" / f"{name}.py"
    compile(path.read_text(), str(path), "exec", dont_inherit=True)


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", DEMO / "repository" / f"{name}.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_libraries
def test_the_programs_recognize_digits_and_refuse_a_bad_model(tmp_path):
    data, model, pictures = tmp_path / "data", tmp_path / "model", tmp_path / "pictures"
    accuracy = tmp_path / "accuracy"
    on_model = ("--data", data, "--model", model, "--output")

    assert run("prepare", "--output", data).returncode == 0
    assert run("train", "--data", data, "--output", model).returncode == 0
    assert run("evaluate", *on_model, accuracy, "--minimum", "0.9").returncode == 0
    assert 0.9 < float(accuracy.read_text()) <= 1

    accuracy.unlink()
    refused = run("evaluate", *on_model, accuracy, "--minimum", "1")
    assert refused.returncode == 1
    assert "train for more epochs" in refused.stderr
    assert not accuracy.exists()

    assert run("contact_sheet", *on_model, pictures).returncode == 0
    assert (pictures / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")
    assert len((pictures / "predictions.csv").read_text().splitlines()) == 361
