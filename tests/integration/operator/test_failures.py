"""Attempts that end badly, each in the way in which a kubelet or a person brings it about."""

import pytest

from gradient_operator.kube.resources import PODS
from tests.builders import make_workflow
from tests.integration.operator.kubelet import MACHINE
from tests.integration.operator.team import condition


def job():
    return make_workflow().job("a").on(MACHINE)


async def test_an_eviction_costs_the_user_no_retry(operator, team, kubelet):
    run = await team.start(job())
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await kubelet.evict(pod)
    status = await team.job(run, "a", phase="Pending", reason="Evicted", attempt=1)
    assert "low on resource: ephemeral-storage" in status["message"]
    await kubelet.run(await kubelet.pod("a", 2))
    ended = await team.ended(run, "Succeeded")
    assert ended["jobs"]["a"].get("userFailures") is None
    assert ended["jobs"]["a"]["infraFailures"] == 1


async def test_a_pod_deleted_by_hand_is_replaced_and_not_forgotten(operator, team, kubelet):
    run = await team.start(job())
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await team.job(run, "a", phase="Running")
    await team.client.delete(PODS, name=pod["metadata"]["name"], namespace=team.namespace)
    await kubelet.obey(pod)
    await kubelet.gone(pod)
    await kubelet.run(await kubelet.pod("a", 2))
    status = await team.ended(run, "Succeeded")
    assert (status["jobs"]["a"]["attempt"], status["jobs"]["a"]["infraFailures"]) == (2, 1)


async def test_a_pod_removed_with_force_is_lost_and_replaced(operator, team, kubelet):
    run = await team.start(job())
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await team.job(run, "a", phase="Running")
    name = pod["metadata"]["name"]
    body = {"metadata": {"finalizers": None}}
    await team.client.merge_patch(PODS, body, name=name, namespace=team.namespace)
    await kubelet.remove(pod)
    await team.job(run, "a", reason="PodLost")
    await kubelet.run(await kubelet.pod("a", 2))
    await team.ended(run, "Succeeded")


async def test_out_of_memory_is_the_jobs_own_failure(operator, team, kubelet):
    run = await team.start(job())
    pod = await kubelet.pod("a")
    await kubelet.start(pod)
    await kubelet.end(pod, 137, reason="OOMKilled")
    status = await team.ended(run, "Failed")
    assert condition(status, "Succeeded")["reason"] == "OutOfMemory"
    assert "choose a machine type with more memory" in status["message"]


BLOCKED = {
    "image": (
        "ImagePullBackOff",
        'Back-off pulling image "nope:1"',
        'the image cannot be pulled on manual-cpu: Back-off pulling image "nope:1"',
    ),
    "secret": (
        "CreateContainerConfigError",
        'secret "gradient-secrets" not found',
        "Secret gradient-secrets (it holds the values of secret:NAME) does not exist",
    ),
    "key": (
        "CreateContainerConfigError",
        "couldn't find key TOKEN in Secret ns/gradient-secrets",
        "Secret gradient-secrets has no key 'TOKEN'",
    ),
}


@pytest.mark.parametrize("blocked", BLOCKED.values(), ids=BLOCKED)
async def test_what_only_a_person_can_mend_is_shown_at_once(operator, team, kubelet, blocked):
    reason, said, shown = blocked
    run = await team.start(job())
    pod = await kubelet.pod("a")
    await kubelet.wait(pod, reason, said)
    told = "ImagePullFailed" if reason == "ImagePullBackOff" else "SecretMissing"
    status = await team.job(run, "a", phase="Starting", reason=told)
    assert shown in status["message"]
    await kubelet.run(pod)
    await team.ended(run, "Succeeded")


async def test_more_jobs_than_gpus_wait_for_their_turn(operator, team):
    builder = make_workflow()
    for number in range(10):  # eight nodes have eight GPUs each
        builder.job(f"train-{number}").on("H100x8")
    run = await team.start(builder)
    await team.ended(run, "Succeeded")


async def test_a_refused_pod_is_made_once_it_is_allowed(operator, team):
    async with team.quota(**{"count/pods": "0"}):
        run = await team.start(make_workflow().job("a"))
        status = await team.job(run, "a", phase="Pending", reason="QuotaExceeded")
        assert "exceeded quota" in status["message"]
    await team.ended(run, "Succeeded")
