"""Whatever a file holds, compiling it ends in a workflow or in sentences."""

import re

from hypothesis import given
from hypothesis import strategies as st

from gradient_operator.workflow.compile import compile_file
from gradient_operator.workflow.graph import ancestors, find_cycle, order
from gradient_operator.workflow.model import Refused
from gradient_operator.workflow.references import object_name
from gradient_operator.workflow.validate import parse_file

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
GRAPHS = st.dictionaries(NAMES, st.lists(NAMES, max_size=4), max_size=5).map(
    lambda graph: {job: [need for need in needs if need in graph] for job, needs in graph.items()}
)
SLOTS = st.sampled_from(["a.outputs.o", "b.outputs.o", "workflow.inputs.a", "a", "a.outputs.x.y"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=8) | SLOTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
SOURCES = st.fixed_dictionaries(
    {}, optional={"ref": st.sampled_from(["cats", "cats:v1", "a b"]), "value": st.text(max_size=3)}
)
TYPES = st.sampled_from(["dataset", "string", "volume"])
DECLARED = st.fixed_dictionaries({"type": TYPES}, optional={"with": SOURCES})
PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "image": st.just("bash:5"),
        "script": st.just("true"),
        "args": st.lists(st.text(max_size=3), max_size=2),
        "url": st.sampled_from(["https://x/y", "context.event.github.url"]),
        "name": st.just("m"),
        "type": st.sampled_from(["Custom", "Other"]),
    },
)
ACTIONS = st.sampled_from(["script@v1", "container@v1", "git-checkout@v1", "create-model@v1", "x"])
JOBS = st.fixed_dictionaries(
    {"with": PARAMETERS},
    optional={
        "resources": st.just({"instance-type": "C4"}),
        "uses": ACTIONS,
        "needs": st.lists(NAMES, max_size=2),
        "inputs": st.dictionaries(st.sampled_from(["i", "model"]), SLOTS | DECLARED, max_size=2),
        "outputs": st.dictionaries(st.sampled_from(["o", "model-id"]), DECLARED, max_size=2),
        "env": st.dictionaries(st.sampled_from(["A", "B C"]), st.just("secret:A"), max_size=1),
        "more": JSON,
    },
)
FILES = st.fixed_dictionaries(
    {"jobs": st.dictionaries(NAMES, JOBS | JSON, max_size=3)},
    optional={"inputs": st.dictionaries(NAMES, DECLARED, max_size=2), "context": JSON},
)


@given(GRAPHS)
def test_an_order_holds_all_jobs_or_there_is_a_circle(needs):
    found, cycle = order(needs), find_cycle(needs)
    assert (set(found) == set(needs)) is not bool(cycle)
    place = {job: index for index, job in enumerate(found)}
    assert all(place[need] < place[job] for job in found for need in needs[job])
    assert all(
        after in needs[job] for job, after in zip(cycle, [*cycle[1:], *cycle[:1]], strict=True)
    )


@given(GRAPHS)
def test_a_job_is_its_own_ancestor_only_on_a_circle(needs):
    on_circle = {job for job in needs if job in ancestors(needs, job)}
    assert bool(on_circle) is bool(find_cycle(needs))
    assert set(find_cycle(needs)) <= on_circle


@given(FILES | JSON)
def test_any_data_is_a_workflow_or_is_refused_in_sentences(data):
    problems, jobs = (), {}
    try:
        jobs = compile_file(parse_file(data)).workflow.jobs
    except Refused as refused:
        problems = refused.problems
    assert bool(jobs) is not bool(problems)
    assert all(problem.message and problem.rule for problem in problems)
    assert all(set(job.needs) <= jobs.keys() - {job.name} for job in jobs.values())


@given(st.from_regex(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,300}", fullmatch=True), st.integers(40, 253))
def test_every_name_becomes_one_that_the_cluster_takes(name, limit):
    made = object_name(name, limit=limit)
    assert len(made) <= limit
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", made)
    assert object_name(name, limit=limit) == made
