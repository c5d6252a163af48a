"""Jobs in their order, and what becomes of a run when one of them fails."""

from gradient_operator.kube.resources import INSTANCE_TYPES
from tests.builders import make_workflow
from tests.integration.operator.kubelet import MACHINE
from tests.integration.operator.team import condition


def by_hand(*names):
    """Independent jobs whose Pods the test plays."""
    builder = make_workflow()
    for name in names:
        builder.job(name).on(MACHINE)
    return builder


async def test_a_diamond_runs_in_order(operator, team, kubelet):
    builder = by_hand("a").job("b").on(MACHINE).needs("a").job("c").on(MACHINE).needs("a")
    run = await team.start(builder.job("d").on(MACHINE).needs("b", "c"))
    first = await kubelet.pod("a")
    assert len(await kubelet.pods()) == 1
    await kubelet.run(first)
    for name in "bc":
        await kubelet.run(await kubelet.pod(name))
        made = {pod["metadata"]["annotations"]["gradient.run/job"] for pod in await kubelet.pods()}
        assert "d" not in made or name == "c"
    await kubelet.run(await kubelet.pod("d"))
    status = await team.ended(run, "Succeeded")
    assert status["progress"] == "4/4"
    assert condition(status, "Succeeded")["status"] == "True"


async def test_a_failed_job_omits_what_needs_it_and_nothing_else(operator, team, kubelet):
    builder = by_hand("bad", "good").job("after").on(MACHINE).needs("bad")
    run = await team.start(builder.job("other").on(MACHINE).needs("good"))
    bad, good = await kubelet.pod("bad"), await kubelet.pod("good")
    log = "epoch 1\nepoch 2\nRuntimeError: CUDA out of memory"
    await kubelet.run(bad, 3, message=log)
    await team.job(run, "bad", phase="Failed")
    await kubelet.run(good)
    await kubelet.run(await kubelet.pod("other"))
    status = await team.ended(run, "Failed")
    phases = {name: job["phase"] for name, job in status["jobs"].items()}
    assert phases == {
        "bad": "Failed",
        "good": "Succeeded",
        "after": "Omitted",
        "other": "Succeeded",
    }
    failed = condition(status, "Succeeded")
    assert (failed["status"], failed["reason"]) == ("False", "ExitCode")
    assert failed["message"] == f"job bad failed: exit code 3: {log}"
    assert status["jobs"]["bad"]["exitCode"] == 3


async def test_a_job_is_retried_as_often_as_was_asked(operator, team, kubelet):
    run = await team.start(by_hand("flaky"), policy={"retries": 1})
    first = await kubelet.pod("flaky", 1)
    await kubelet.run(first, 1)
    await kubelet.run(await kubelet.pod("flaky", 2), 0)
    status = await team.ended(run, "Succeeded")
    assert (status["jobs"]["flaky"]["attempt"], status["jobs"]["flaky"]["userFailures"]) == (2, 1)
    assert len(await kubelet.pods("flaky")) == 2, "the log of the first attempt is kept"


async def test_a_machine_type_that_comes_late_starts_what_waited(operator, team, client):
    name = team.name("late")
    run = await team.start(make_workflow().job("a").on(name))
    status = await team.job(run, "a", reason="UnknownInstanceType")
    assert f"machine type {name!r} is not known" in status["message"]
    body = {"spec": {"name": name, "nodeSelector": {"gradient.run/pool": "cpu"}}}
    await client.apply(INSTANCE_TYPES, body, name=name, field_manager="tests")
    try:
        await team.ended(run, "Succeeded")
    finally:
        await client.delete(INSTANCE_TYPES, name=name)


async def test_a_wide_run_makes_one_pod_for_each_job(operator, team):
    builder = make_workflow().job("first")
    for number in range(100):
        builder.job(f"m{number}").needs("first")
    run = await team.start(builder.job("last").needs(*(f"m{number}" for number in range(100))))
    status = await team.ended(run, "Succeeded")
    assert status["progress"] == "102/102"
    assert {job["attempt"] for job in status["jobs"].values()} == {1}
