"""Which logs are printed, how they are told apart, and what is said when there are none."""

import asyncio

import pytest

from gradient_operator.cli.errors import CommandError
from gradient_operator.cli.log_stream import Logs, Printer, Selection
from gradient_operator.kube.errors import Forbidden, Unreachable
from gradient_operator.kube.resources import PODS, RUNS
from tests.unit.cli.fake import run_object

DEFINITION = {"jobs": {"Prepare": {}, "Train": {"needs": ["Prepare"]}}}


def pod(client, job, *, attempt=1, lines=None, run="train-aaaa", container="main"):
    name = f"train-{job.lower()}-{attempt}"
    client.add(
        PODS,
        {
            "metadata": {
                "name": name,
                "labels": {
                    "gradient.run/run-uid": f"uid-of-{run}",
                    "gradient.run/attempt": str(attempt),
                    "gradient.run/job": "shortened",
                },
                "annotations": {"gradient.run/job": job},
            }
        },
    )
    if lines is not None:
        client.logs[name, container] = lines


def running(client, phase="Running", **jobs):
    states = {name: {"phase": state, "attempt": 1} for name, state in jobs.items()}
    client.add(RUNS, run_object(phase=phase, definition=DEFINITION, jobs=states))


class Tape:
    """What was printed and what was remarked."""

    def __init__(self, cluster, *, then=(), **selection):
        self.lines, self.remarks, self.then = [], [], list(then)
        printer = Printer(out=self.lines.append, remark=self.remarks.append)
        wanted = Selection(run="train-aaaa", **selection)
        self.logs = Logs(cluster, wanted, printer, pause=self.pause)
        self.pauses = 0

    async def pause(self, _):
        self.pauses += 1
        if self.pauses > 50:
            raise AssertionError("it never ends")
        if self.then:
            self.then.pop(0)()
        await asyncio.sleep(0)


def test_several_jobs_are_told_apart_in_the_order_of_the_graph(gradient, client):
    running(client, Prepare="Succeeded", Train="Running")
    pod(client, "Train", lines=[b"epoch 1"])
    pod(client, "Prepare", lines=[b"ready", b"done \xff"])
    code, out, _ = gradient("logs", "train-aaaa")
    assert code == 0
    assert out.splitlines()[:2] == ["[Prepare] ready", "[Prepare] done \ufffd"]
    assert out.splitlines()[2] == "[Train] epoch 1"


def test_one_job_is_printed_as_it_is(gradient, client):
    running(client, Prepare="Succeeded", Train="Running")
    pod(client, "Prepare", lines=[b"ready"])
    pod(client, "Train", lines=[b"epoch 1"])
    assert gradient("logs", "train-aaaa", "Train")[1] == "epoch 1\n"


async def test_the_last_attempt_counts_unless_another_is_asked_for(cluster, client):
    running(client, Prepare="Running")
    pod(client, "Prepare", attempt=2, lines=[b"second"])
    pod(client, "Prepare", attempt=10, lines=[b"tenth"])
    pod(client, "Prepare", attempt=1, lines=[b"first"])
    tape = Tape(cluster, job="Prepare")
    await tape.logs.run()
    assert tape.lines == [b"tenth"]
    tape = Tape(cluster, job="Prepare", attempt=1)
    await tape.logs.run()
    assert tape.lines == [b"first"]


async def test_the_helpers_have_logs_too(cluster, client):
    running(client, Prepare="Running")
    pod(client, "Prepare", lines=[b"uploading"], container="uploader")
    tape = Tape(cluster, job="Prepare", container="uploader")
    await tape.logs.run()
    assert tape.lines == [b"uploading"]


async def test_a_container_that_has_not_started_is_remarked(cluster, client):
    running(client, Prepare="Starting")
    pod(client, "Prepare")
    tape = Tape(cluster)
    await tape.logs.run()
    assert tape.lines == []
    assert "waiting to start" in tape.remarks[0]


async def test_a_misspelt_job_is_answered_with_the_nearest(cluster, client):
    running(client)
    with pytest.raises(CommandError, match="did you mean 'Train'"):
        await Tape(cluster, job="Trian").logs.run()
    with pytest.raises(CommandError, match="its jobs: Prepare, Train"):
        await Tape(cluster, job="xyz").logs.run()


@pytest.mark.parametrize(
    ("jobs", "selection", "says"),
    [
        ({}, {}, "no job of run train-aaaa has started"),
        ({"Prepare": "Running"}, {"job": "Train"}, "job Train has not started \\(Pending\\)"),
        ({"Train": "Failed"}, {"job": "Train", "attempt": 3}, "attempt 3 of job Train has not"),
        ({"Train": "Failed"}, {"job": "Train"}, "the Pods of the run are gone"),
        ({"Train": "Failed"}, {}, "the Pods of the run are gone"),
    ],
)
async def test_no_log_is_explained(cluster, client, jobs, selection, says):
    running(client, **jobs)
    with pytest.raises(CommandError, match=says):
        await Tape(cluster, **selection).logs.run()


async def test_following_takes_up_pods_that_come_later_and_ends_with_the_run(cluster, client):
    running(client, Prepare="Running")
    pod(client, "Prepare", lines=[b"ready"])
    tape = Tape(
        cluster,
        follow=True,
        then=[
            lambda: pod(client, "Train", lines=[b"epoch 1"]),
            lambda: None,
            lambda: running(client, "Succeeded", Prepare="Succeeded", Train="Succeeded"),
        ],
    )
    await tape.logs.run()
    assert tape.lines == [b"[Prepare] ready", b"[Train] epoch 1"]


async def test_following_waits_for_the_container_to_start(cluster, client):
    running(client, Prepare="Starting")
    pod(client, "Prepare")
    tape = Tape(
        cluster,
        follow=True,
        job="Prepare",
        then=[
            lambda: None,
            lambda: client.logs.update({("train-prepare-1", "main"): [b"ready"]}),
            lambda: running(client, Prepare="Succeeded"),
        ],
    )
    await tape.logs.run()
    assert tape.lines == [b"ready"]


async def test_a_broken_stream_is_taken_up_again(cluster, client):
    running(client, Prepare="Running")
    pod(client, "Prepare", lines=[b"one", Unreachable("reset"), b"two"])
    tape = Tape(
        cluster,
        follow=True,
        then=[lambda: None, lambda: running(client, "Succeeded", Prepare="Succeeded")],
    )
    await tape.logs.run()
    assert tape.lines[-1] == b"[Prepare] two"
    assert "broke off (reset)" in tape.remarks[0]


async def test_following_a_run_that_never_started_a_job_is_explained(cluster, client):
    running(client, "Failed")
    with pytest.raises(CommandError, match="no job of run train-aaaa has started"):
        await Tape(cluster, follow=True).logs.run()


async def test_a_refusal_while_following_is_one_error(cluster, client):
    running(client, Prepare="Running", Train="Running")
    pod(client, "Prepare", lines=[Forbidden("pods/log is forbidden")])
    pod(client, "Train", lines=[Forbidden("pods/log is forbidden")])
    with pytest.raises(Forbidden, match="pods/log"):
        await Tape(cluster, follow=True).logs.run()
