"""Where jobs run that share a claim which only one node can mount: on nodes that suit them all.

Nodes are not looked at. So placements are merged only where one selector holds all that the others
ask for: whatever node takes that one job then takes them all. Two selectors that merely do not
contradict each other might together match no node.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gradient_operator.api.instance_type import InstanceTypeSpec, Toleration


@dataclass(frozen=True, slots=True)
class Placement:
    """What decides on which nodes a job may run."""

    node_selector: Mapping[str, str]
    tolerations: tuple[Toleration, ...]

    def on(self, machine: InstanceTypeSpec) -> InstanceTypeSpec:
        """The machine type, placed here instead."""
        return machine.model_copy(
            update={
                "node_selector": dict(self.node_selector),
                "tolerations": list(self.tolerations),
            }
        )


def merge(machines: Iterable[InstanceTypeSpec]) -> Placement | None:
    """The placement that suits them all; None if there is none, or nobody can know.

    Tolerations add up: a job that is led to a tainted node must tolerate it, too.
    """
    found = list(machines)
    narrowest = max((machine.node_selector for machine in found), key=len)
    if any(not machine.node_selector.items() <= narrowest.items() for machine in found):
        return None
    tolerations = {
        toleration.model_dump_json(): toleration
        for machine in found
        for toleration in machine.tolerations
    }
    return Placement(narrowest, tuple(tolerations.values()))
