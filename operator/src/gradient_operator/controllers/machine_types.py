"""The machine types of the cluster, by the names that files use: not always spelled as they are."""

from collections.abc import Iterator, MutableMapping

from gradient_operator.api.instance_type import InstanceTypeSpec
from gradient_operator.api.machines import spelling


class MachineTypes(MutableMapping[str, InstanceTypeSpec]):
    """Found by their name, else by another spelling of it."""

    def __init__(self) -> None:
        self._types: dict[str, InstanceTypeSpec] = {}
        self._names: dict[str, str] = {}
        """The first name, in alphabetical order, of each spelling."""

    def __getitem__(self, name: str) -> InstanceTypeSpec:
        return self._types[name if name in self._types else self._names[spelling(name)]]

    def __setitem__(self, name: str, machine: InstanceTypeSpec) -> None:
        self._types[name] = machine
        self._order()

    def __delitem__(self, name: str) -> None:
        del self._types[name]
        self._order()

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def _order(self) -> None:
        self._names = {spelling(name): name for name in sorted(self._types, reverse=True)}
