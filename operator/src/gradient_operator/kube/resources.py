"""Where the API server keeps each kind: group, version, plural, scope, and the paths made of them.

Only addresses: nothing here knows a kind's fields.
"""

from dataclasses import dataclass
from typing import Final

from gradient_operator.api.names import GROUP, KINDS, VERSION


@dataclass(frozen=True, slots=True)
class Resource:
    """The address of a kind.

    `group` is empty for the core group. `path` gives the collection, an object of it, or a
    subresource of that object; without `namespace` a namespaced kind's collection spans all.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The `apiVersion` that objects of this kind carry."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """Return the path below the server's address.

        Raises:
            ValueError: a name is needed for what is asked, or a namespace is.
        """
        if self.namespaced and name and not namespace:
            raise ValueError(f"{self.kind} {name!r} is namespaced: say in which namespace")
        if subresource and not name:
            raise ValueError(f"{self.plural}/{subresource} belongs to one object: name it")
        root = f"/apis/{self.group}" if self.group else "/api"
        parts = [root, self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [self.plural, *([name] if name else []), *([subresource] if subresource else [])]
        return "/".join(parts)


def _own(kind: str, *, namespaced: bool = True) -> Resource:
    return Resource(GROUP, VERSION, KINDS[kind], kind, namespaced)


PODS: Final = Resource("", "v1", "pods", "Pod")
CLAIMS: Final = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
SECRETS: Final = Resource("", "v1", "secrets", "Secret")
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODES: Final = Resource("", "v1", "nodes", "Node", namespaced=False)
EVENTS: Final = Resource("events.k8s.io", "v1", "events", "Event")
CORE_EVENTS: Final = Resource("", "v1", "events", "Event")
"""The same Events under their old group, where they can be selected by the object's UID."""
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
STORAGE_CLASSES: Final = Resource(
    "storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False
)
CRDS: Final = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)

WORKFLOWS: Final = _own("GradientWorkflow")
RUNS: Final = _own("GradientRun")
DATASETS: Final = _own("GradientDataset")
DATASET_VERSIONS: Final = _own("GradientDatasetVersion")
STORAGE_PROVIDERS: Final = _own("GradientStorageProvider")
INSTANCE_TYPES: Final = _own("GradientInstanceType", namespaced=False)
MODELS: Final = _own("GradientModel")
