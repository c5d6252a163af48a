"""The claims of volumes: there for their users, gone after the last one while the run goes on."""

from gradient_operator.kube.resources import CLAIMS
from tests.builders import make_workflow
from tests.integration.operator.kubelet import MACHINE
from tests.integration.operator.waiting import eventually


def three_jobs():
    """The first two share a volume, the third one only comes after them."""
    builder = make_workflow().job("clone").on(MACHINE).makes("repo", "volume")
    builder.job("train").on(MACHINE).needs("clone").takes("repo", "clone.outputs.repo")
    return builder.job("report").on(MACHINE).needs("train")


async def claims(team):
    listed = await team.client.list_all(CLAIMS, namespace=team.namespace)
    return {
        item["metadata"]["name"]
        for item in listed.items
        if "deletionTimestamp" not in item["metadata"]
    }


async def test_a_claim_goes_when_its_last_user_has_ended(operator, team, kubelet):
    run = await team.start(three_jobs())
    await kubelet.run(await kubelet.pod("clone"))
    pod = await kubelet.pod("train")
    claim = (await team.run(run))["status"]["volumes"]["clone.repo"]["claim"]
    assert claim in await claims(team)
    await kubelet.run(pod)
    last = await kubelet.pod("report")

    async def gone():
        assert claim not in await claims(team)

    await eventually(gone)
    await kubelet.run(last)
    await team.ended(run, "Succeeded")


async def test_a_claim_goes_although_the_operator_died_before_it_deleted_it(
    operator, team, kubelet
):
    run = await team.start(three_jobs())
    await kubelet.run(await kubelet.pod("clone"))
    pod = await kubelet.pod("train")
    claim = (await team.run(run))["status"]["volumes"]["clone.repo"]["claim"]
    operator.kill()
    await kubelet.run(pod)
    operator.start()
    await kubelet.run(await kubelet.pod("report"))
    await team.ended(run, "Succeeded")

    async def gone():
        assert claim not in await claims(team)

    await eventually(gone)


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
