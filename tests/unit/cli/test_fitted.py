import io

import pytest
from rich.console import Console
from rich.text import Text

from gradient_operator.cli.output.fitted import Column, fitted_table


def printed(columns, width):
    console = Console(file=io.StringIO(), width=200)
    console.print(fitted_table(columns, width))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def column(title, text, **more):
    return Column(title=title, cells=[Text(text)], **more)


COLUMNS = [
    column("name", "a-rather-long-name-of-a-run"),
    column("state", "Running"),
    column("node", "worker-1", drop=1),
    column("machine", "A100", drop=2),
    column("none", "", drop=3),
    column("message", "waits for room on a node of the pool", drop=4, flexible=True),
]


@pytest.mark.parametrize("width", range(36, 140))
def test_no_line_is_longer_than_the_terminal(width):
    assert max(map(len, printed(COLUMNS, width))) <= width


def test_what_says_nothing_is_left_out():
    assert printed(COLUMNS, 200)[0].split() == ["NAME", "STATE", "NODE", "MACHINE", "MESSAGE"]


def test_a_flexible_column_is_cut_before_others_are_dropped():
    line = printed(COLUMNS, 75)[1]
    assert line.startswith("a-rather-long-name-of-a-run  Running  worker-1  A100")
    assert line.endswith("…")


def test_columns_go_by_their_number_and_names_stay_whole():
    assert printed(COLUMNS, 60)[0].split() == ["NAME", "STATE", "NODE", "MACHINE"]
    assert printed(COLUMNS, 50)[0].split() == ["NAME", "STATE", "NODE"]
    assert printed(COLUMNS, 40)[1] == "a-rather-long-name-of-a-run  Running"


def test_the_last_column_of_all_is_cut_if_it_may_be():
    tree = [column("job", "└─ a-long-name-of-a-job", flexible=True), column("state", "Failed")]
    assert printed(tree, 22)[1] == "└─ a-long-nam…  Failed"
