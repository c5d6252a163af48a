"""Following a run: what is said of each change, how it ends, and what interrupts it."""

import asyncio
import io
import json

import pytest
from rich.console import Console

from gradient_operator.cli.errors import CommandError, ExitCode
from gradient_operator.cli.follow import follow_run
from gradient_operator.cli.output.follow_view import visible
from gradient_operator.cli.output.run_view import JobView
from gradient_operator.kube.errors import Forbidden, Unreachable
from gradient_operator.kube.resources import RUNS
from tests.unit.cli.fake import run_object

DEFINITION = {"jobs": {"prepare": {}, "train": {"needs": ["prepare"]}}}
START = "2026-01-31T12:00:00Z"
LATER = "2026-01-31T12:00:30Z"


def states(prepare, train="Pending", **more):
    active = {"attempt": 1, "node": "cpu-1", "startedAt": START}
    ended = {"finishedAt": LATER}
    result = {}
    for name, phase in {"prepare": prepare, "train": train}.items():
        state = {"phase": phase}
        if phase not in {"Pending", "Omitted"}:
            state |= active
        if phase in {"Succeeded", "Failed"}:
            state |= ended
        result[name] = state
    result["prepare"] |= more
    return result


class Story:
    """A run whose status changes every time the follower pauses; the clock is an hour ahead."""

    def __init__(self, client, *chapters):
        self.client, self.chapters = client, list(chapters)
        self.now = 1_769_864_400.0
        self.pause_count = 0
        self.next()

    def next(self):
        if self.chapters:
            chapter = self.chapters.pop(0)
            if callable(chapter):
                chapter()
            elif chapter is not None:
                self.client.add(RUNS, chapter)

    async def pause(self, seconds):
        self.now += seconds
        self.pause_count += 1
        if self.pause_count > 100:
            raise AssertionError("it never ends")
        self.next()
        await asyncio.sleep(0)


async def followed(cluster, story, *, terminal=False, height=40):
    console = Console(
        file=io.StringIO(), width=100, height=height, force_terminal=terminal, color_system=None
    )
    result = await follow_run(
        cluster, "train-aaaa", console, pause=story.pause, clock=lambda: story.now
    )
    return result, console.file.getvalue()


def chapter(phase, jobs, **more):
    return run_object(phase=phase, definition=DEFINITION, jobs=jobs, startedAt=START, **more)


async def test_a_run_is_told_line_by_line_to_its_end(cluster, client):
    story = Story(
        client,
        run_object(definition=DEFINITION),
        chapter("Running", states("Starting"), message="job prepare waits"),
        chapter("Running", states("Running"), message="running: prepare"),
        chapter("Running", states("Running"), message="its node does not answer"),
        chapter("Running", states("Running"), message="its node does not answer"),
        chapter("Running", states("Succeeded", "Running")),
        chapter("Succeeded", states("Succeeded", "Succeeded"), finishedAt=LATER),
    )
    result, text = await followed(cluster, story)
    assert result == ExitCode.SUCCEEDED
    assert [line.partition(" ")[2] for line in text.splitlines()] == [
        "● prepare Starting on cpu-1",
        "● prepare Running on cpu-1",
        "its node does not answer",
        "✓ prepare Succeeded after 30s",
        "● train Running on cpu-1",
        "✓ train Succeeded after 30s",
        "✓ Run train-aaaa Succeeded after 30s: 2 of 2 jobs succeeded.",
    ]


@pytest.mark.parametrize(
    ("phase", "code"),
    [("Succeeded", 0), ("Failed", 1), ("Cancelled", 3)],
)
@pytest.mark.parametrize("terminal", [False, True])
async def test_the_exit_code_is_the_result(cluster, client, phase, code, terminal):
    story = Story(client, chapter(phase, states("Succeeded")))
    assert (await followed(cluster, story, terminal=terminal))[0] == code


@pytest.mark.parametrize("terminal", [False, True])
async def test_a_failure_comes_with_its_last_log_lines(cluster, client, terminal):
    jobs = states("Failed", "Omitted", reason="ExitCode", message="exit code 1: first\nlast line")
    story = Story(client, chapter("Failed", jobs, message="job prepare failed"))
    _, text = await followed(cluster, story, terminal=terminal)
    assert "prepare: exit code 1: first" in text
    assert "│ last line" in text


async def test_the_live_graph_of_a_wide_run_fits_the_terminal(cluster, client):
    definition = {"jobs": {f"job{index}": {} for index in range(500)}}
    jobs = {"job400": {"phase": "Failed"}, "job300": {"phase": "Running", "node": "n"}}
    story = Story(client, run_object(phase="Failed", definition=definition, jobs=jobs))
    _, text = await followed(cluster, story, terminal=True, height=24)
    assert "job400" in text
    assert "job300" in text
    assert "… and 484 more jobs" in text


async def test_a_transfer_has_a_bar_in_a_terminal_until_it_is_over(cluster, client):
    line = {"msg": "fetching", "path": "/inputs/d", "files": 1, "bytes": 250, "rate": 50}
    client.logs["pod-a", "fetch"] = [json.dumps({**line, "total": 1_000}).encode()]
    fetches = states("Starting", pod="pod-a")
    story = Story(
        client,
        chapter("Running", fetches),
        chapter("Running", states("Running", pod="pod-a")),
        chapter("Succeeded", states("Succeeded", "Succeeded")),
    )
    _, text = await followed(cluster, story, terminal=True)
    assert text.count("fetches /inputs/d: 25 % of 1000 B, 50 B/s") == 1
    assert "━" in text
    story = Story(client, chapter("Running", fetches), chapter("Succeeded", states("Succeeded")))
    assert "fetches" not in (await followed(cluster, story))[1]


def test_the_jobs_that_matter_are_visible_in_their_order():
    jobs = [
        JobView("done", phase="Succeeded"),
        JobView("next"),
        JobView("retrying", attempt=1),
        JobView("failed", phase="Failed"),
        JobView("running", phase="Running"),
    ]
    assert [job.name for job in visible(jobs, 4)] == ["next", "retrying", "failed", "running"]
    assert [job.name for job in visible(jobs, 2)] == ["failed", "running"]
    assert visible(jobs, 5) == jobs


async def test_a_cluster_that_does_not_answer_is_asked_again(cluster, client):
    story = Story(
        client,
        chapter("Running", states("Running")),
        lambda: client.failures.append(Unreachable("connection refused")),
        chapter("Succeeded", states("Succeeded", "Succeeded")),
    )
    result, text = await followed(cluster, story)
    assert result == ExitCode.SUCCEEDED
    assert "does not answer (connection refused); trying again" in text


async def test_a_refusal_ends_the_following(cluster, client):
    story = Story(client, chapter("Running", states("Running")))
    client.failures.append(Forbidden("no"))
    with pytest.raises(Forbidden):
        await followed(cluster, story)


async def test_a_run_that_is_deleted_meanwhile_ends_it_with_a_sentence(cluster, client):
    story = Story(client, chapter("Running", states("Running")), client.objects.clear)
    with pytest.raises(CommandError, match="no run 'train-aaaa' in namespace team"):
        await followed(cluster, story)


async def test_an_operator_that_does_not_look_is_named_once(cluster, client):
    run = run_object(definition=DEFINITION)
    story = Story(client, *[run] * 40, chapter("Succeeded", states("Succeeded", "Succeeded")))
    _, text = await followed(cluster, story)
    assert text.count("The operator has not looked at this run yet") == 1


async def test_control_c_detaches_and_says_how_to_go_on(cluster, client):
    def interrupt():
        raise asyncio.CancelledError

    story = Story(client, chapter("Running", states("Running")), interrupt)
    console = Console(file=io.StringIO(), width=100)
    with pytest.raises(asyncio.CancelledError):
        await follow_run(cluster, "train-aaaa", console, pause=story.pause)
    text = console.file.getvalue()
    assert "gradient show train-aaaa -n team -f" in text
    assert "gradient cancel train-aaaa -n team" in text
    assert client.of(RUNS)["train-aaaa"]["spec"].get("cancel") is None
