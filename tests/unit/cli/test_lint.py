"""`gradient lint`: which files it takes, what it prints, what it ends with."""

import io
import json
import sys

import pytest

from gradient_operator.workflow.rules.catalogue import CATALOGUE

GOOD = """\
jobs:
  Train:
    resources: {instance-type: C4}
    uses: script@v1
    with: {image: "bash:5", script: date}
"""
BAD = GOOD.replace("uses:", "use:")
WARNED = GOOD.replace("    uses", "    timeout: 5\n    uses")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def test_a_valid_file_gives_one_line_and_success(gradient, folder):
    write(folder, good=GOOD)
    assert gradient("lint", "good.yaml") == (0, "", "1 file: no problem found.\n")


def test_a_warning_is_printed_and_allowed(gradient, folder):
    write(folder, warned=WARNED)
    code, out, err = gradient("lint", "warned.yaml")
    assert code == 0
    assert out.startswith("warned.yaml:4:14: warning: jobs.Train.timeout: ")
    assert out.endswith(" (no-effect)\n")
    assert err == "1 file: 0 errors, 1 warning.\n"


def test_several_files_are_checked_and_one_bad_one_is_enough(gradient, folder):
    write(folder, good=GOOD, bad=BAD)
    code, out, err = gradient("lint", "good.yaml", "bad.yaml")
    assert code == 1
    assert out.startswith("bad.yaml:4:5: error: jobs.Train.use: is not a key of the format; ")
    assert err == "2 files: 1 error, 0 warnings.\n"


def test_of_a_folder_the_workflows_are_checked(gradient, folder):
    workflows = folder / ".gradient" / "workflows"
    workflows.mkdir(parents=True)
    write(folder, other="no: workflow")
    (workflows / "a.yml").write_text(BAD)
    (workflows / "b.yaml").write_text(GOOD)
    (workflows / "notes.txt").write_text("none")
    code, out, err = gradient("lint", ".")
    assert (code, err) == (1, "2 files: 1 error, 0 warnings.\n")
    assert out.startswith(".gradient/workflows/a.yml:4:5: ")


def test_of_another_folder_the_files_in_it_are_checked(gradient, folder):
    write(folder, good=GOOD)
    assert gradient("lint", str(folder))[0] == 0


def test_standard_input_is_read_for_a_dash(gradient, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
    code, out, _ = gradient("lint", "-")
    assert code == 1
    assert out.startswith("<stdin>:4:5: error: ")


@pytest.mark.parametrize("name", ["gone.yaml", "empty"])
def test_what_cannot_be_read_is_said_and_the_others_are_checked(gradient, folder, name):
    write(folder, bad=BAD)
    (folder / "empty").mkdir()
    code, out, err = gradient("lint", name, "bad.yaml")
    assert code == 2
    assert "bad.yaml:4:5" in out
    assert err.startswith(f"Error: {name} ")


def test_json_holds_every_finding_with_its_place(gradient, folder):
    write(folder, bad=BAD, warned=WARNED)
    code, out, _ = gradient("lint", "bad.yaml", "warned.yaml", "-o", "json")
    read = json.loads(out)
    assert code == 1
    assert {key: read[key] for key in ("files", "errors", "warnings", "hidden")} == {
        "files": 2,
        "errors": 1,
        "warnings": 1,
        "hidden": 0,
    }
    first = read["problems"][0]
    assert first.pop("message").startswith("jobs.Train.use: ")
    assert first == {
        "file": "bad.yaml",
        "line": 4,
        "column": 5,
        "endLine": 4,
        "endColumn": 8,
        "severity": "error",
        "rule": "unknown-key",
    }


def test_annotations_are_escaped_as_github_reads_them(gradient, folder):
    write(folder, **{"a,b:c%": GOOD.replace("Train", "Tra.in")})
    out = gradient("lint", "a,b:c%.yaml", "-o", "github")[1]
    assert out.startswith(
        "::error file=a%2Cb%3Ac%25.yaml,line=2,col=3,title=dotted-name,endLine=2,endColumn=9::"
    )


def test_sarif_names_rules_places_and_levels(gradient, folder):
    write(folder, **{"a b": BAD, "warned": WARNED})
    log = json.loads(gradient("lint", "a b.yaml", "warned.yaml", "-o", "sarif")[1])
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(CATALOGUE)
    assert [each["level"] for each in run["results"]] == ["error", "warning"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "a%20b.yaml"},
        "region": {"startLine": 4, "startColumn": 5, "endLine": 4, "endColumn": 8},
    }


def test_nothing_found_is_still_a_log_and_a_document(gradient, folder):
    write(folder, good=GOOD)
    assert json.loads(gradient("lint", "good.yaml", "-o", "json")[1])["problems"] == []
    log = json.loads(gradient("lint", "good.yaml", "-o", "sarif")[1])
    assert log["runs"][0]["results"] == []
    assert gradient("lint", "good.yaml", "-o", "github")[1] == ""


def test_without_a_file_it_says_how_it_is_used(gradient):
    code, _, err = gradient("lint")
    assert code == 2
    assert "FILE" in err
