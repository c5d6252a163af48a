"""KWOK's stages play a kubelet: finalizers stay, and whoever plays it himself is left alone."""

from __future__ import annotations

from hack.cluster import simulated
from hack.cluster.profile import GPU_RESOURCE, POOL_LABEL, PROFILES, SIMULATED


def expressions(stage: dict) -> list[dict]:
    return stage["spec"]["selector"]["matchExpressions"]


def test_every_stage_leaves_pods_alone_that_opted_out():
    for stage in simulated.pod_stages():
        first = expressions(stage)[0]
        assert first == {"key": simulated.LEFT_ALONE, "operator": "NotIn", "values": ["true"]}


def test_no_stage_touches_finalizers():
    for stage in simulated.pod_stages():
        assert "finalizers" not in stage["spec"]["next"]


def test_deletion_is_not_repeated_while_a_finalizer_keeps_the_pod():
    (delete,) = [one for one in simulated.pod_stages() if one["spec"]["next"].get("delete")]
    assert {
        "key": ".metadata.deletionGracePeriodSeconds",
        "operator": "NotIn",
        "values": ["0"],
    } in expressions(delete)


def test_both_pools_and_both_manual_nodes_are_there():
    nodes = simulated.simulated_nodes()
    pools = [document["metadata"]["labels"][POOL_LABEL] for document, _ in nodes]
    manual = [document for document, _ in nodes if document["spec"]]
    assert len(nodes) == 22
    assert set(pools) == {"cpu", "gpu"}
    assert [one["metadata"]["name"] for one in manual] == ["manual-cpu", "manual-gpu"]
    for document, capacity in nodes:
        gpu = document["metadata"]["labels"][POOL_LABEL] == "gpu"
        assert (GPU_RESOURCE in capacity) == gpu


def test_profiles_share_no_port():
    ports = [port for profile in PROFILES.values() for port in profile.ports.all()]
    assert len(ports) == len(set(ports))
    assert SIMULATED.simulated
