"""Conditions, matrices, timeouts and borne failures, with the real operator."""

from tests.builders import make_workflow
from tests.integration.operator.kubelet import MACHINE


def by_hand(name, **fields):
    return make_workflow().job(name, **fields).on(MACHINE)


def phases(status):
    return {name: job["phase"] for name, job in status["jobs"].items()}


async def test_a_matrix_runs_as_jobs_of_their_own_two_at_a_time(operator, team, kubelet):
    builder = by_hand("t").put("strategy", {"matrix": {"n": [1, 2, 3]}, "max-parallel": 2})
    builder.uses("script@v1", image="bash:5", script="echo ${{ matrix.n }}")
    run = await team.start(builder.job("end").on(MACHINE).needs("t"))
    first, second = await kubelet.pod("t-1"), await kubelet.pod("t-2")
    await team.job(run, "t-3", phase="Pending", reason="MaxParallel")
    assert len(await kubelet.pods()) == 2
    main = first["spec"]["containers"][0]
    assert main["args"] == ["echo 1"]
    assert {"name": "MATRIX_N", "value": "1"} in main["env"]
    await kubelet.run(second)
    await kubelet.run(await kubelet.pod("t-3"))
    await kubelet.run(first)
    await kubelet.run(await kubelet.pod("end"))
    status = await team.ended(run, "Succeeded")
    assert set(status["jobs"]) == {"t-1", "t-2", "t-3", "end"}


async def test_when_one_combination_fails_the_others_are_stopped(operator, team, kubelet):
    builder = by_hand("t").put("strategy", {"matrix": {"n": [1, 2]}})
    run = await team.start(builder)
    bad, other = await kubelet.pod("t-1"), await kubelet.pod("t-2")
    await kubelet.start(other)
    await kubelet.run(bad, 1, message="no")
    await kubelet.obey(other)
    status = await team.ended(run, "Failed")
    assert phases(status) == {"t-1": "Failed", "t-2": "Cancelled"}
    assert status["jobs"]["t-2"]["message"] == "t-1 failed"


async def test_a_condition_decides_once_its_needs_have_ended(operator, team, kubelet):
    builder = by_hand("a", **{"continue-on-error": True})
    builder.job("no").on(MACHINE).needs("a").put("if", "needs.a.result == 'success'")
    builder.job("after-no").on(MACHINE).needs("no")
    builder.job("always").on(MACHINE).needs("no").put("if", "always()")
    run = await team.start(builder)
    await kubelet.run(await kubelet.pod("a"), 1, message="boom")
    await kubelet.run(await kubelet.pod("always"))
    status = await team.ended(run, "Succeeded")
    assert phases(status) == {
        "a": "Failed",
        "no": "Skipped",
        "after-no": "Skipped",
        "always": "Succeeded",
    }
    assert status["message"] == "job a failed: exit code 1: boom (continue-on-error)"


async def test_a_job_that_runs_too_long_is_stopped_and_tried_again(operator, team, kubelet):
    builder = by_hand("slow", **{"timeout-minutes": 0.05, "retries": 1})
    run = await team.start(builder)
    pod = await kubelet.pod("slow")
    await kubelet.start(pod)
    await team.job(run, "slow", phase="Running", reason="TimedOut")
    deleted = await kubelet.obey(pod)
    assert deleted["metadata"]["deletionGracePeriodSeconds"] == 30
    await team.job(run, "slow", attempt=1, userFailures=1)
    again = await kubelet.pod("slow", 2)
    await kubelet.start(again)
    await team.job(run, "slow", phase="Running", reason="TimedOut")
    await kubelet.obey(again)
    status = await team.ended(run, "Failed")
    job = status["jobs"]["slow"]
    assert (job["reason"], job["userFailures"]) == ("TimedOut", 2)
    assert job["message"] == "it ran longer than its timeout-minutes: 0.05"


async def test_what_a_cancelled_run_still_does(operator, team, kubelet):
    builder = by_hand("work").job("tidy").on(MACHINE).needs("work").put("if", "always()")
    run = await team.start(builder)
    pod = await kubelet.pod("work")
    await kubelet.start(pod)
    await team.cancel(run)
    await kubelet.obey(pod)
    await kubelet.run(await kubelet.pod("tidy"))
    status = await team.ended(run, "Cancelled")
    assert phases(status) == {"work": "Cancelled", "tidy": "Succeeded"}


async def test_the_api_server_takes_every_form_and_keeps_it(operator, team):
    builder = by_hand("a", **{"if": True, "timeout-minutes": 1, "continue-on-error": False})
    matrix = {"n": [0.5, True, "x"], "include": [{"n": 0.5, "m": None}], "exclude": [{"n": "x"}]}
    builder.put("strategy", {"matrix": matrix}).makes("o", "dataset", "d-${{ matrix.n }}")
    run = await team.start(builder)
    await team.job(run, "a-0.5", phase="Pending")
    await team.job(run, "a-true", phase="Pending")
    assert set((await team.run(run))["status"]["jobs"]) == {"a-0.5", "a-true"}
    await team.cancel(run)
    await team.ended(run, "Cancelled")
