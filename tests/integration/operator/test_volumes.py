"""The claims of volumes: there for their users, gone after the last one while the run goes on."""

from gradient_operator.kube.resources import CLAIMS
from tests.builders import make_workflow
from tests.integration.operator.kubelet import MACHINE
from tests.waiting import eventually


def three_jobs():
    """The first two share a volume, the third one only comes after them."""
    builder = make_workflow().job("clone").on(MACHINE).makes("repo", "volume")
    builder.job("train").on(MACHINE).needs("clone").takes("repo", "clone.outputs.repo")
    return builder.job("report").on(MACHINE).needs("train")


async def claims(team):
    """Those whose deletion was asked for count until they are gone: their storage is in use."""
    listed = await team.client.list_all(CLAIMS, namespace=team.namespace)
    return {item["metadata"]["name"] for item in listed.items}


async def gone(team, claim):
    async def ask():
        assert claim not in await claims(team)

    await eventually(ask)


async def claim_of(team, run):
    return (await team.run(run))["status"]["volumes"]["clone.repo"]["claim"]


async def test_a_claim_goes_when_its_last_user_has_ended(operator, team, kubelet):
    run = await team.start(three_jobs())
    await kubelet.run(await kubelet.pod("clone"))
    pod = await kubelet.pod("train")
    claim = await claim_of(team, run)
    assert claim in await claims(team)
    await kubelet.run(pod)
    last = await kubelet.pod("report")
    await gone(team, claim)
    assert await kubelet.pods("train"), "its Pod is kept for its logs, and keeps no claim"
    await kubelet.run(last)
    await team.ended(run, "Succeeded")


async def test_a_claim_stays_for_the_next_attempt_and_goes_after_the_last_one(
    operator, team, kubelet
):
    run = await team.start(three_jobs(), policy={"retries": 1})
    await kubelet.run(await kubelet.pod("clone"))
    await kubelet.run(await kubelet.pod("train"), 1)
    again = await kubelet.pod("train", 2)
    claim = await claim_of(team, run)
    assert claim in await claims(team)
    await kubelet.run(again, 1)
    await team.ended(run, "Failed")
    await gone(team, claim)


async def test_a_claim_goes_with_a_cancelled_run_when_its_pod_has_stopped(operator, team, kubelet):
    run = await team.start(three_jobs())
    pod = await kubelet.pod("clone")
    await kubelet.start(pod)
    claim = await claim_of(team, run)
    await team.cancel(run)
    await kubelet.obey(pod)
    await team.ended(run, "Cancelled")
    await gone(team, claim)


async def test_a_claim_goes_although_the_run_ended_before_its_pod_did(operator, team, kubelet):
    """A Pod that fails is still ending while its uploader hears of it."""
    run = await team.start(three_jobs())
    pod = await kubelet.pod("clone")
    await kubelet.start(pod)
    claim = await claim_of(team, run)
    await kubelet.end_main(pod, 1)
    await team.ended(run, "Failed")
    assert claim in await claims(team)
    await kubelet.end(pod, 1)
    await gone(team, claim)


async def test_a_claim_goes_although_the_operator_died_before_it_deleted_it(
    operator, team, kubelet
):
    run = await team.start(three_jobs())
    await kubelet.run(await kubelet.pod("clone"))
    claim, pod = await claim_of(team, run), await kubelet.pod("train")
    operator.kill()
    await kubelet.run(pod)
    operator.start()
    last = await kubelet.pod("report")
    await gone(team, claim)
    await kubelet.run(last)
    await team.ended(run, "Succeeded")


async def test_a_claim_goes_although_the_operator_died_before_it_could_let_it_go(
    operator, team, kubelet
):
    run = await team.start(three_jobs())
    pod = await kubelet.pod("clone")
    await kubelet.start(pod)
    claim = await claim_of(team, run)
    await kubelet.end_main(pod, 1)
    await team.ended(run, "Failed")
    operator.kill()
    await kubelet.end(pod, 1)
    operator.start()
    await gone(team, claim)


async def test_a_claim_of_the_same_name_that_is_none_of_the_run_stays(operator, team, kubelet):
    name = team.name("named")
    foreign = f"{name}-clone.repo"
    body = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": foreign, "namespace": team.namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    await team.client.create(CLAIMS, body)
    run = await team.start(three_jobs(), name=name)
    seen = await team.job(run, "clone", phase="Pending", reason="PodRefused")
    assert "does not belong to this run" in seen["message"]
    await team.cancel(run)
    await team.ended(run, "Cancelled")
    assert foreign in await claims(team)
    await team.client.delete(CLAIMS, name=foreign, namespace=team.namespace)
