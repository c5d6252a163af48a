from pathlib import Path

from gradient_operator.api import reference
from gradient_operator.api.names import KINDS

PAGE = Path(__file__).parents[3] / "crds/README.md"


def test_the_committed_page_is_what_the_models_say(capsys):
    assert reference.main(["--check", str(PAGE)]) == 0, capsys.readouterr().err


def test_a_stale_page_is_named_with_the_command_that_renews_it(tmp_path, capsys):
    path = tmp_path / "page.md"
    path.write_text("old")
    assert reference.main(["--check", str(path)]) == 1
    assert reference.COMMAND in capsys.readouterr().err
    assert reference.main([str(path)]) == 0
    assert reference.main(["--check", str(path)]) == 0


def test_every_kind_and_nested_field_has_its_row():
    text = reference.page()
    for kind in KINDS:
        assert f"\n## {kind}\n" in text
    assert "| `jobs.*.outputs.*.type` (required) | `dataset` \\| `string` \\| `volume` |" in text
    assert "| `tolerations[].key` | string, up to 1024 |" in text
    assert "| `policy.infraRetries` | integer, at least 0, at most 100 |" in text


def test_the_sentences_of_the_rules_stand_there_once_per_kind():
    section = reference.page().split("\n## GradientWorkflow\n")[1].split("\n## ")[0]
    assert section.count("must be the name of another job") == 1
