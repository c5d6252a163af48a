"""Manifests: equal to the golden files, and read alike by this program and by YAML 1.1 readers."""

import io
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient_operator.cli.yaml_text import to_yaml
from gradient_operator.workflow.loader import load

FIXTURES = Path(__file__).parent / "fixtures"
TRAINING = FIXTURES / "training.yaml"


def test_the_manifest_of_a_gradient_file_is_the_golden_one(gradient):
    code, out, err = gradient("manifest", str(TRAINING), "-n", "team")
    assert (code, err) == (0, "")
    assert out == (FIXTURES / "training.manifest.yaml").read_text()


def test_a_manifest_means_the_same_to_kubectl_as_to_the_loader(gradient):
    _, out, _ = gradient("manifest", str(TRAINING))
    original = load(TRAINING.read_text(), source="f").data
    assert load(out, source="f").data["spec"] == original
    # PyYAML reads YAML 1.1, as the API machinery does: a bare `on` would be true here.
    assert yaml.safe_load(out)["spec"] == original
    assert '"on":' in out


def test_scripts_stay_readable_blocks(gradient):
    _, out, _ = gradient("manifest", str(TRAINING))
    assert "        script: |\n          set -eu  \n          python -m tokenise \\\n" in out


def test_a_manifest_of_a_manifest_changes_only_what_is_asked_for(gradient, tmp_path):
    _, once, _ = gradient("manifest", str(TRAINING), "--name", "other")
    file = tmp_path / "workflow.yaml"
    file.write_text(once)
    assert gradient("manifest", str(file)) == (0, once, "")
    _, moved, _ = gradient("manifest", str(file), "-n", "elsewhere")
    assert yaml.safe_load(moved)["metadata"] == {"name": "other", "namespace": "elsewhere"}


def test_labels_and_policy_of_a_manifest_are_kept(gradient, tmp_path):
    file = tmp_path / "w.yaml"
    file.write_text(
        "apiVersion: gradient.run/v1alpha1\nkind: GradientWorkflow\n"
        "metadata: {name: w, labels: {team: a}, resourceVersion: '7'}\n"
        "spec: {jobs: {}, policy: {retries: 2}}\n"
    )
    content = yaml.safe_load(gradient("manifest", str(file))[1])
    assert content["metadata"] == {"name": "w", "labels": {"team": "a"}}
    assert content["spec"] == {"jobs": {}, "policy": {"retries": 2}}


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Train Model_v2.yaml", "train-model-v2"),
        ("-x-.yml", "x"),
        ("a.b.yaml", "a-b"),
        ("x" * 80 + ".yaml", "x" * 52),
    ],
)
def test_the_name_comes_from_the_file(gradient, tmp_path, file, name):
    path = tmp_path / file
    path.write_text("jobs: {}\n")
    _, out, _ = gradient("manifest", "--", str(path))
    assert yaml.safe_load(out)["metadata"]["name"] == name


def test_standard_input_needs_a_name(gradient, monkeypatch):
    def stdin():
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"jobs: {}\n")))

    stdin()
    code, _, err = gradient("manifest", "-")
    assert code == 2
    assert "--name NAME" in err
    stdin()
    code, out, _ = gradient("manifest", "-", "--name", "piped", "-o", "json")
    assert json.loads(out)["metadata"] == {"name": "piped"}
    assert code == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("jobs:\n\ta: 1\n", ":2:1: a tab"),
        ("apiVersion: v1\nkind: Pod\n", "holds a Pod of v1"),
        ("apiVersion: gradient.run/v1alpha1\nkind: GradientWorkflow\n", "lacks a spec"),
        ("kind: GradientWorkflow\napiVersion: gradient.run/v1\nmetadata: {name: A_B}\nspec: {}\n",
         "'A_B' cannot be the name"),
    ],
)  # fmt: skip
def test_what_cannot_become_a_manifest_is_refused_with_a_sentence(
    gradient, tmp_path, content, says
):
    file = tmp_path / "f.yaml"
    file.write_text(content)
    code, out, err = gradient("manifest", str(file))
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err


def test_files_that_cannot_be_read_are_named(gradient, tmp_path):
    assert "There is no file" in gradient("manifest", str(tmp_path / "no.yaml"))[2]
    assert "is a directory" in gradient("manifest", str(tmp_path))[2]
    file = tmp_path / "big.yaml"
    file.write_bytes(b"a" * 2_000_000)
    assert "the limit is 1048576" in gradient("manifest", str(file))[2]


LINES = st.lists(st.text(" \tabon#:-'\"|>&*é🚀{}[],%@`!?=", max_size=12), max_size=6)
TEXT = st.one_of(
    LINES.map("\n".join),
    LINES.map(lambda lines: "\n".join(lines) + "\n"),
    st.sampled_from(["on", "y", "N", "1e3", "1_0", "0o7", "~", "null", "2024-01-01", "<<", "="]),
    st.sampled_from(["12:30:10", ".5", "-", "- a", "1.", "# a", "a: b", "", " ", "0x1F", "+1"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["on", "jobs", "x"]), JSON, min_size=1))
def test_what_is_written_is_read_back_by_both_readers(content):
    text = to_yaml(content)
    assert yaml.safe_load(text) == content
    if "\ufeff" not in text:
        assert load(text, source="f").data == content
