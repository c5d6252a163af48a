import pytest

from tests.bench import page

ORDER = ["large", "small"]
HEAD = "| client | up | measured |\n| ------ | -- | -------- |"


@pytest.fixture
def written(tmp_path, monkeypatch):
    place = tmp_path / "benchmarks.md"
    monkeypatch.setattr(page, "PAGE", place)

    def write(number, *sections, introduction="# Data"):
        page.write_part(number, introduction, sections, order=ORDER)
        return place.read_text()

    return write


def test_sections_that_were_not_measured_stay_and_keep_their_order(written):
    written(page.DATA, "## small: files\n\nfirst")
    text = written(page.DATA, "## large: one file\n\nsecond")
    assert text.index("## large: one file\n\nsecond") < text.index("## small: files\n\nfirst")


def test_a_section_is_written_anew_whatever_its_title_says(written):
    written(page.DATA, "## small: 500 files\n\nfirst")
    text = written(page.DATA, "## small: 10,000 files\n\nsecond")
    assert "first" not in text
    assert "500" not in text
    assert "second" in text


def test_the_other_part_and_a_new_introduction(written):
    written(page.OPERATOR, "## small: runs\n\nof the operator", introduction="# Benchmarks")
    written(page.DATA, "## small: files\n\nof the data")
    text = written(page.OPERATOR, introduction="# Benchmarks, once more")
    assert text.startswith("# Benchmarks, once more\n")
    for words in ("of the operator", "# Data", "of the data"):
        assert text.count(words) == 1


def test_writing_the_same_twice_changes_nothing(written):
    section = f"## small: files\n\n{HEAD}\n| ours   | 1  | now      |\n\n* a remark"
    assert written(page.DATA, section) == written(page.DATA, section)


def test_a_load_that_is_gone_leaves_the_page(written):
    written(page.DATA, "## small: files\n\nfirst")
    page.write_part(page.DATA, "# Data", [], order=["large"])
    assert "first" not in page.PAGE.read_text()


def test_rows_that_were_not_measured_stay_with_their_date(written):
    written(page.DATA, f"## small: files\n\n{HEAD}\n| ours | 1 | then |\n| boto3 | 2 | then |")
    text = written(page.DATA, f"## small: files\n\n{HEAD}\n| ours | 3 | now |\n\n* a remark")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert ["ours", "3", "now"] in rows
    assert ["boto3", "2", "then"] in rows
    assert ["ours", "1", "then"] not in rows
    assert "* a remark" in text


def test_rows_of_a_table_with_another_head_go(written):
    written(
        page.DATA, "## small: files\n\n| client | down | measured |\n| - | - | - |\n| a | 1 | x |"
    )
    text = written(page.DATA, f"## small: files\n\n{HEAD}\n| ours | 3 | now |")
    assert "| a" not in text
