import pytest

from tests.bench import machine
from tests.bench.model import QUICK, Contestant, Figure, Load, LoadResult, Measurement
from tests.bench.report import Report, table


async def never(arena, contestant):
    raise AssertionError


LOAD = Load(
    key="B9",
    title="{width} things",
    explanation="Makes {width} things.",
    figures=(Figure("total", "from start to end", "s", 2), Figure("cpu", "processor time", "s", 1)),
    seconds=1,
    rounds=2,
    run=never,
)


def measured(total, *, cpu=None, notes=()):
    figures = {"total": total} if cpu is None else {"total": total, "cpu": cpu}
    return Measurement(figures, {"pods": 1}, notes)


def result():
    return LoadResult(
        LOAD,
        rounds=[
            {
                Contestant.BARE: measured(2.0),
                Contestant.OPERATOR: measured(3.0, cpu=1.0),
                Contestant.WITHOUT_FINALIZER: measured(2.0, cpu=0.5, notes=("a strange thing",)),
            },
            {
                Contestant.BARE: measured(4.0),
                Contestant.OPERATOR: measured(4.0, cpu=1.0),
                Contestant.WITHOUT_FINALIZER: measured(4.0, cpu=0.7),
            },
        ],
        foreign=[0.1, 0.2],
    )


def report(found, *, load_average=0.5):
    return Report(
        date="2026-01-31 12:00 UTC",
        command=".venv/bin/python -m tests.bench --write",
        machine=machine.Machine(
            cores=2,
            processor="A processor",
            memory_gib=8,
            kernel="6.1",
            python="3.11.7",
            commit="abc1234",
            load_average=load_average,
        ),
        kubernetes="v1.34.4",
        sizes=QUICK,
        results=[found],
    )


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table_gives_median_spread_and_the_ratio_of_each_round():
    lines = table(result()).splitlines()
    assert cells(lines[2]) == [
        "from start to end, s",
        "3.00 (2.00 to 4.00)",
        "3.50 (3.00 to 4.00)",
        "1.25 (1.00 to 1.50)",
        "3.00 (2.00 to 4.00)",
        "1.00",
    ]


def test_figures_that_the_bare_client_has_not_have_no_ratio():
    lines = table(result()).splitlines()
    assert cells(lines[3]) == ["processor time, s", "", "1.0", "", "0.6 (0.5 to 0.7)", ""]


def test_columns_are_aligned():
    assert len({len(line) for line in table(result()).splitlines()}) == 1


def test_page_says_how_it_was_made_and_on_what():
    page = "\n".join([report(result()).introduction(), *report(result()).sections()])
    for text in (
        ".venv/bin/python -m tests.bench --write",
        "2026-01-31 12:00 UTC",
        "commit abc1234",
        "Kubernetes v1.34.4",
        "2 cores (A processor), 8 GiB",
        "podFinalizer: false",
        "## B9: 100 things",
        "Makes 100 things. 2 rounds.",
        "round 1, without-finalizer: a strange thing",
    ):
        assert text in page
    assert "mean little" not in page


def test_busy_machine_is_named():
    assert "these figures mean little" in report(result(), load_average=2.5).sections()[0]


def test_other_programs_before_a_load_are_named():
    found = result()
    found.foreign.append(0.8)
    assert "up to 80% of the machine busy" in report(found).text()


def test_dump_holds_every_value_of_every_round():
    dumped = report(result()).dump()
    rounds = dumped["loads"]["B9"]["rounds"]
    assert [one["operator"]["figures"]["total"] for one in rounds] == [3.0, 4.0]
    assert rounds[0]["bare"]["counts"] == {"pods": 1}
    assert dumped["machine"]["commit"] == "abc1234"


@pytest.mark.parametrize("key", ["total", "cpu"])
def test_ratios_leave_out_rounds_without_a_bare_figure(key):
    found = LoadResult(LOAD, rounds=[{Contestant.OPERATOR: measured(3.0, cpu=1.0)}])
    assert found.ratios(Contestant.OPERATOR, key) == []
