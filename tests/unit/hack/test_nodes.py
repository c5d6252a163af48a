"""A node counts as ready only by what its kubelet says now."""

from __future__ import annotations

from hack.cluster.nodes import node_ready


def node(status: str, heartbeat: str = "2026-01-01T00:00:10Z") -> dict:
    condition = {"type": "Ready", "status": status, "lastHeartbeatTime": heartbeat}
    return {"status": {"conditions": [condition]}}


def test_node_is_ready_when_its_condition_says_so():
    assert node_ready(node("True"))
    assert not node_ready(node("Unknown"))
    assert not node_ready({"status": {}})
    assert not node_ready(None)


def test_node_of_a_killed_kubelet_is_not_ready_until_it_reports_again():
    assert not node_ready(node("True"), since="2026-01-01T00:00:11Z")
    assert node_ready(node("True"), since="2026-01-01T00:00:10Z")
