"""The words of kube-scheduler in plain words."""

import pytest

from gradient_operator.engine.scheduling import plain

SAID = {
    "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match Pod's node "
    "affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not helpful.": [
        "1 node: not enough cpu free",
        "2 nodes: not of the machine type's node selector",
    ],
    "0/2 nodes are available: 2 Insufficient nvidia.com/gpu. no new claims to deallocate, "
    "preemption: 0/2 nodes are available: 2 No preemption victims found.": [
        "2 nodes: not enough nvidia.com/gpu free"
    ],
    "0/2 nodes are available: 1 node(s) had untolerated taint {gpu: }, 1 node(s) had untolerated "
    "taint {pool: a, b}.": [
        "1 node: a taint that the machine type does not tolerate: gpu",
        "1 node: a taint that the machine type does not tolerate: pool: a, b",
    ],
    "0/1 nodes are available: 1 node(s) were unschedulable.": [
        "1 node: cordoned (kubectl uncordon)"
    ],
    "0/1 nodes are available: 1 node(s) were in a bad mood.": ["1 node: were in a bad mood"],
    "no nodes available to schedule pods": ["no nodes available to schedule pods"],
}


@pytest.mark.parametrize(("said", "lines"), SAID.items())
def test_each_kind_of_node_gets_a_line(said, lines):
    assert plain(said) == lines
