"""The pages of the rules: written, compared, and rid of what no longer exists."""

from gradient_operator.workflow.rules.catalogue import CATALOGUE
from gradient_operator.workflow.rules.pages import main, pages


def test_every_rule_has_a_page_and_a_row():
    found = pages()
    assert set(found) == {"README.md", *(f"{rule}.md" for rule in CATALOGUE)}
    for rule in CATALOGUE.values():
        assert f"| [{rule.id}]({rule.id}.md) | {rule.title} |" in found["README.md"]
        assert rule.why in found[f"{rule.id}.md"]


def test_pages_hold_no_control_characters():
    assert all(each >= " " or each in "\n\t" for page in pages().values() for each in page)


def test_what_differs_is_named_and_written_anew(tmp_path, capsys):
    assert main([str(tmp_path / "rules")]) == 0
    assert main(["--check", str(tmp_path / "rules")]) == 0
    (tmp_path / "rules" / "cycle.md").write_text("old")
    (tmp_path / "rules" / "gone.md").write_text("of a rule that was")
    assert main(["--check", str(tmp_path / "rules")]) == 1
    said = capsys.readouterr().err
    assert "cycle.md" in said
    assert "gone.md" in said
    assert main([str(tmp_path / "rules")]) == 0
    assert main(["--check", str(tmp_path / "rules")]) == 0
