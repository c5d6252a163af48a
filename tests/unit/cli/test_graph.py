"""The graph as text: a tree with the needs it cannot show, and a list where it is too deep."""

from gradient_operator.cli.output.graph import MAX_TREE_DEPTH, lines
from gradient_operator.cli.output.run_view import JobView


def drawn(needs):
    jobs = [JobView(name, needs=tuple(of)) for name, of in needs.items()]
    return [
        f"{line.branch}{line.job.name}{' +' + ','.join(line.after) if line.after else ''}"
        for line in lines(jobs)
    ]


def test_a_pipeline_is_a_tree_below_its_last_need():
    assert drawn(
        {
            "clone": [],
            "data": ["clone"],
            "lint": ["clone"],
            "train": ["clone", "data"],
            "report": ["train", "lint"],
            "other": [],
        }
    ) == [
        "clone",
        "├─ data",
        "│  └─ train",
        "│     └─ report +lint",
        "└─ lint",
        "other",
    ]


def test_a_need_that_the_branch_implies_is_not_repeated():
    assert drawn({"a": [], "b": ["a"], "c": ["b"], "d": ["a", "b", "c"]})[-1] == "      └─ d"


def test_a_deep_graph_is_a_list_with_all_needs():
    names = [f"j{index}" for index in range(MAX_TREE_DEPTH + 2)]
    chain = {name: names[max(0, index - 1) : index] for index, name in enumerate(names)}
    assert drawn(chain)[:3] == ["j0", "j1 +j0", "j2 +j1"]


def test_every_job_of_a_wide_graph_has_one_line():
    wide = {"a": []} | {f"w{index}": ["a"] for index in range(1000)}
    wide["end"] = [f"w{index}" for index in range(1000)]
    found = drawn(wide)
    assert len(found) == len(wide)
    assert found[1].startswith("├─ w0")


def test_no_jobs_no_lines():
    assert drawn({}) == []
