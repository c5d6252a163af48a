"""Between operator and API server everything goes wrong that can; every load ends as without it.

The faults are drawn from a seed (printed) by `fault_proxy`. Watches that fall silent are played in
`tests/world`, where the 75 s until they are noticed cost nothing.
"""

import asyncio

import pytest

from gradient_operator.controllers.run_apply import AT_ONCE
from tests.builders import make_workflow
from tests.integration.kube.fault_proxy import KINDS, FaultProxy, Plan
from tests.integration.operator.kubelet import MACHINE, running
from tests.integration.operator.process import OperatorProcess
from tests.waiting import eventually

CHAIN, WIDTH, BURST = 5, 12, 24
WIDE, ENOUGH = 120, 20
"""Jobs of a run that is cancelled when it has so many Pods."""
PATIENT = {"name": "operator-under-test", "duration": 30, "renewDeadline": 20, "retryPeriod": 1}
"""A lease that outlasts the trouble where this is not about handing over."""


@pytest.fixture
async def proxy(installed):
    async with FaultProxy(installed) as made:
        yield made


@pytest.fixture
async def operator(proxy, namespace, tmp_path):
    """An operator that reaches the API server through the proxy alone."""
    process = OperatorProcess(proxy.kubeconfig(tmp_path), namespace, tmp_path, lease=PATIENT)
    process.start()
    await process.ready()
    yield process
    process.stop()


def chain(length=CHAIN):
    builder = make_workflow()
    for number in range(length):
        builder.job(f"j{number}").needs(*([f"j{number - 1}"] if number else []))
    return builder


def fan(width=WIDTH):
    builder = make_workflow().job("first")
    for number in range(width):
        builder.job(f"m{number}").needs("first")
    return builder.job("last").needs(*(f"m{number}" for number in range(width)))


async def begin(team):
    """All loads at once: how many jobs each run has."""
    loads = {await team.start(chain()): CHAIN, await team.start(fan()): WIDTH + 2}
    for _ in range(BURST):
        loads[await team.start(make_workflow().job("a"))] = 1
    return loads


async def retried(team, kubelet):
    """A job that fails once by itself, and once through no fault of its own."""
    run = await team.start(make_workflow().job("again").on(MACHINE), policy={"retries": 1})
    await kubelet.run(await kubelet.pod("again"), 3)
    await kubelet.evict(await kubelet.pod("again", 2))
    await kubelet.run(await kubelet.pod("again", 3))
    status = await team.ended(run, "Succeeded")
    job = status["jobs"]["again"]
    assert (job["attempt"], job["userFailures"], job["infraFailures"]) == (3, 1, 1)


async def end(operator, team, kubelet, loads):
    """Every run has succeeded, with one Pod for each job and none twice."""
    made = {}
    for run, jobs in loads.items():
        status = await team.ended(run, "Succeeded")
        assert status["progress"] == f"{jobs}/{jobs}"
        assert {job["attempt"] for job in status["jobs"].values()} == {1}
        made[run] = jobs
    pods = [pod["metadata"]["annotations"]["gradient.run/run"] for pod in await kubelet.pods()]
    assert {run: pods.count(run) for run in loads} == made
    assert operator.running


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_load_ends_as_without_faults(operator, proxy, team, kubelet, seed):
    plan = Plan(seed, rate=0.25, kinds=tuple(kind for kind in KINDS if kind != "silent"))
    proxy.draw = plan.draw
    loads = await begin(team)
    if seed == 1:
        await retried(team, kubelet)
    await end(operator, team, kubelet, loads)
    print(f"seed {seed}: {len(proxy.requests)} requests, faults {dict(plan.drawn)}")
    assert sum(plan.drawn.values()) > 10
    assert len(plan.drawn) > 4
    assert await operator.metric("runs_finished_total", result="Succeeded") == len(loads) + (
        seed == 1
    )
    for kind in ("gradientruns", "pods"):
        assert [each for each in proxy.requests if each.path.endswith(kind)]


def makes_pod(request):
    return request.method == "POST" and request.path.endswith("/pods")


async def test_a_run_that_is_cancelled_while_its_pods_are_being_made_makes_no_more(
    operator, proxy, team, kubelet
):
    """The API server keeps the operator waiting for Pods until it has heard of the cancellation."""

    def draw(request):
        late = makes_pod(request) and sum(map(makes_pod, proxy.requests)) > ENOUGH
        return "held" if late else ""

    proxy.draw = draw
    builder = make_workflow()
    for number in range(WIDE):
        builder.job(f"j{number}").on(MACHINE)
    run = await team.start(builder)

    async def waits():
        assert sum(map(makes_pod, proxy.requests)) == ENOUGH + AT_ONCE

    await eventually(waits)
    await team.cancel(run)
    later = await team.start(make_workflow().job("a").on("unknown"))

    async def heard():
        assert (await team.run(later)).get("status"), "it has not heard of the later run"

    await eventually(heard)
    proxy.gate.set()
    status = await ends_cancelled(team, kubelet, run)
    made = sum(map(makes_pod, proxy.written))
    assert made == ENOUGH + AT_ONCE
    assert sum(job.get("attempt") == 1 for job in status["jobs"].values()) == made
    await team.cancel(later)
    await team.ended(later, "Cancelled")


async def ends_cancelled(team, kubelet, run):
    """Obey as a kubelet until no Pod is left; all jobs of the run are cancelled."""
    obeyed = set()

    async def gone():
        pods = await kubelet.pods()
        going = [pod for pod in pods if "deletionTimestamp" in pod["metadata"]]
        placed = [pod for pod in going if "nodeName" in pod["spec"]]
        new = [pod for pod in placed if pod["metadata"]["uid"] not in obeyed]
        obeyed.update(pod["metadata"]["uid"] for pod in new)
        await asyncio.gather(*(kubelet.obey(pod) for pod in new))
        assert pods == [], f"{len(pods)} Pods are left, {len(going)} of them are to go"

    await eventually(gone)
    status = await team.ended(run, "Cancelled")
    assert {job["phase"] for job in status["jobs"].values()} == {"Cancelled"}
    return status


@pytest.mark.parametrize("answer", ["expired", "throttled"])
async def test_a_workflow_that_is_applied_after_a_watch_of_kopf_failed_is_run(
    operator, proxy, team, kubelet, answer
):
    run, pod = await running(
        team, kubelet, make_workflow().job("a").on(MACHINE).job("b").needs("a")
    )
    answered = []

    def draw(request):
        watched = request.watch and request.path.endswith("gradientworkflows")
        if watched and not answered:
            answered.append(request)
            return answer
        return ""

    proxy.draw = draw
    proxy.cut()

    async def failed():
        assert answered

    await eventually(failed)
    workflow = team.name("later")
    await team.apply(workflow, make_workflow().job("a"))
    await team.started(workflow)
    await kubelet.end(pod)
    status = await team.ended(run, "Succeeded")
    assert {job["attempt"] for job in status["jobs"].values()} == {1}
    if answer == "expired":
        await operator.says("kopf begins again")
    assert operator.running


async def test_an_outage_longer_than_the_lease_changes_nothing(
    proxy, namespace, tmp_path, team, kubelet
):
    """The operator ends, is started again as a Deployment does it, and waits."""
    lease = {"name": "short", "duration": 3, "renewDeadline": 2, "retryPeriod": 0.25}
    operator = OperatorProcess(proxy.kubeconfig(tmp_path), namespace, tmp_path, lease=lease)
    operator.start()
    try:
        await operator.ready()
        builder = make_workflow().job("a").on(MACHINE).job("b").needs("a")
        run, pod = await running(team, kubelet, builder)
        proxy.outage = True
        proxy.cut()
        await kubelet.end(pod)
        other = await team.start(chain(2))
        assert await operator.ends() == 1
        operator.start()
        before = proxy.refused

        async def tries_again():
            assert operator.running
            assert proxy.refused > before + 5

        await eventually(tries_again)
        proxy.outage = False
        for name in (run, other):
            status = await team.ended(name, "Succeeded")
            assert {job["attempt"] for job in status["jobs"].values()} == {1}
    finally:
        operator.stop()


async def test_a_process_that_dies_after_each_write_of_its_own_gets_to_the_end(
    proxy, namespace, tmp_path, team, kubelet
):
    """Every write is done and never heard of; each process makes one, and is killed."""
    operator = OperatorProcess(proxy.kubeconfig(tmp_path), namespace, tmp_path, lease=PATIENT)
    deaths = []

    def die(request):
        if not request.lease and not request.path.endswith("/events") and operator.running:
            deaths.append(f"{request.method} {request.path}")
            operator.kill()

    proxy.done = die
    run = await team.start(chain(2))

    async def over():
        if not operator.running:
            operator.start()
        status = (await team.run(run)).get("status", {})
        assert status.get("phase") == "Succeeded", status
        return status

    try:
        status = await eventually(over)
        proxy.done = None
        assert {job["attempt"] for job in status["jobs"].values()} == {1}
        pods = [pod for pod in await kubelet.pods() if run in str(pod["metadata"]["annotations"])]
        assert len(pods) == 2
        print(f"{len(deaths)} processes died")
        assert len(deaths) >= 2, deaths  # what is under way at a death may be done, too
    finally:
        operator.stop()


async def test_a_deposed_leader_writes_nothing_when_it_wakes(
    installed, namespace, tmp_path, team, kubelet
):
    """It sleeps with writes that it means to repeat; seen from the server's side."""
    lease = {"name": "two", "duration": 8, "renewDeadline": 6, "retryPeriod": 0.25}
    async with FaultProxy(installed) as way, FaultProxy(installed) as other:
        pair = []
        for identity, proxy in (("first", way), ("second", other)):
            folder = tmp_path / identity
            folder.mkdir()
            pair.append(
                OperatorProcess(
                    proxy.kubeconfig(folder), namespace, folder, identity=identity, lease=lease
                )
            )
        first, second = pair
        try:
            first.start()
            await first.ready()
            second.start()
            await second.says("listening")
            run, pod = await running(
                team, kubelet, make_workflow().job("a").on(MACHINE).job("b").needs("a")
            )
            refused = []

            def refuse(request):
                writes = request.method in ("POST", "PATCH") and not request.lease
                if writes and not request.path.endswith("/events"):
                    refused.append(request)
                    return "unavailable"
                return ""

            way.draw = refuse
            await kubelet.end(pod)

            async def wants_to_write():
                assert any(each.method == "PATCH" for each in refused)

            await eventually(wants_to_write)
            first.pause()
            way.draw = lambda _: ""
            await second.ready()
            written = len(way.fenced())
            status = await team.ended(run, "Succeeded")
            assert {job["attempt"] for job in status["jobs"].values()} == {1}
            first.resume()
            assert await first.ends() == 1
            assert way.fenced()[written:] == []
            assert second.running
        finally:
            for process in pair:
                process.stop()
