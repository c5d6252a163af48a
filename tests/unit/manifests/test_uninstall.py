"""Taking everything out, against a small API server that behaves as the real one does."""

import io
import json
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest

from hack.errors import SetupError
from hack.uninstall import CORE, Api, Resource, uninstall

PODS = Resource(CORE, "pods", "app=ours")


class Response(io.BytesIO):
    def __init__(self, status, document):
        super().__init__(json.dumps(document).encode())
        self.status = status


@dataclass
class Server:
    """Objects by path; deletes what no finalizer holds."""

    objects: dict = field(default_factory=dict)
    page: int = 2
    calls: list = field(default_factory=list)
    answer: Response | None = None

    def add(self, path, *finalizers, **labels):
        parts = path.split("/")
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts[:-2] else ""
        metadata = {"name": parts[-1], "labels": labels, "finalizers": [*finalizers]}
        self.objects[path] = {
            "metadata": metadata | ({"namespace": namespace} if namespace else {})
        }

    def request(self, method, path, body=None, headers=None):
        self.calls.append((method, path, json.loads(body) if body else None))
        url = urlsplit(path)
        handler = {"GET": self.get, "DELETE": self.delete, "PATCH": self.patch}[method]
        self.answer = handler(url.path, parse_qs(url.query), json.loads(body) if body else None)

    def getresponse(self):
        return self.answer

    def matching(self, path, query):
        plural = path.rsplit("/", 1)[1]
        prefix = path.rsplit("/", 1)[0]
        label = query.get("labelSelector", [""])[0].partition("=")
        return [
            key
            for key, each in sorted(self.objects.items())
            if key.startswith(prefix)
            and key.split("/")[-2] == plural
            and (not label[0] or each["metadata"]["labels"].get(label[0]) == label[2])
        ]

    def get(self, path, query, _):
        if path in self.objects:
            return Response(200, self.objects[path])
        start = int(query.get("continue", ["0"])[0])
        keys = self.matching(path, query)
        end = start + self.page
        more = {"continue": str(end)} if end < len(keys) else {}
        items = [self.objects[key] for key in keys[start:end]]
        if not keys and not path.endswith("s"):
            return Response(404, {})
        return Response(200, {"metadata": more, "items": items})

    def delete(self, path, query, _):
        for key in [path] if path in self.objects else self.matching(path, query):
            self.objects[key]["metadata"]["deletionTimestamp"] = "now"
            self.collect(key)
        return Response(200, {})

    def patch(self, path, _query, body):
        if path not in self.objects:
            return Response(404, {})
        self.objects[path]["metadata"] |= body["metadata"]
        self.collect(path)
        return Response(200, {})

    def collect(self, key):
        metadata = self.objects[key]["metadata"]
        if "deletionTimestamp" in metadata and not metadata["finalizers"]:
            del self.objects[key]


@pytest.fixture
def server():
    return Server()


def test_what_waits_for_a_vanished_operator_is_freed(server):
    for number in range(5):
        server.add(f"/api/v1/namespaces/a/pods/p{number}", "gradient.run/result", app="ours")
    server.add("/api/v1/namespaces/b/pods/done", app="ours")
    server.add("/api/v1/namespaces/a/pods/other", app="theirs")
    Api(server).remove(PODS)
    assert [*server.objects] == ["/api/v1/namespaces/a/pods/other"]


def test_the_finalizers_of_other_programs_stay_and_are_named(server):
    path = "/api/v1/namespaces/a/pods/p"
    server.add(path, "example.com/theirs", "gradient.run/result", app="ours")
    with pytest.raises(SetupError, match=r"1 pods .* a/p \(held by example.com/theirs\)"):
        Api(server, wait_seconds=0).remove(PODS)
    assert server.objects[path]["metadata"]["finalizers"] == ["example.com/theirs"]


def test_running_pods_get_a_short_grace(server):
    server.add("/api/v1/namespaces/a/pods/p", app="ours")
    Api(server).remove(PODS, grace=30)
    (options,) = [body for method, _, body in server.calls if method == "DELETE"]
    assert options == {"gracePeriodSeconds": 30}


def test_a_kind_that_the_server_does_not_know_has_no_objects(server):
    assert Api(server).find(Resource("/apis/gradient.run/v1alpha1", "nothing")) == []


def test_a_refusal_is_told_with_the_servers_words():
    class Refusing(Server):
        def get(self, path, query, body):
            return Response(403, {"message": "pods is forbidden"})

    with pytest.raises(SetupError, match="pods is forbidden"):
        Api(Refusing()).find(PODS)


def test_everything_of_ours_goes_and_nothing_else(server):
    ours = "/apis/gradient.run/v1alpha1"
    part = {"app.kubernetes.io/part-of": "gradient"}
    made = {"app.kubernetes.io/managed-by": "gradient-operator"}
    roles = "/apis/rbac.authorization.k8s.io/v1"
    server.add("/apis/apps/v1/namespaces/gradient-system/deployments/gradient-operator", **part)
    server.add(f"{ours}/namespaces/a/gradientruns/r", "gradient.run/any")
    server.add(f"{ours}/namespaces/a/gradientworkflows/w")
    server.add(f"{ours}/gradientinstancetypes/c4")
    server.add("/api/v1/namespaces/a/pods/p", "gradient.run/result", **made)
    server.add("/api/v1/namespaces/a/persistentvolumeclaims/v", **made)
    server.add("/api/v1/namespaces/a/secrets/gradient-storage", **made)
    server.add("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x", **part)
    server.add(f"{roles}/clusterroles/gradient-view", **part)
    server.add(f"{roles}/clusterrolebindings/gradient-operator", **part)
    server.add("/api/v1/namespaces/gradient-system")
    server.add("/api/v1/namespaces/a")
    server.add("/api/v1/namespaces/a/secrets/gradient-secrets")
    server.add(f"{roles}/clusterroles/view")
    uninstall(Api(server))
    assert sorted(server.objects) == [
        "/api/v1/namespaces/a",
        "/api/v1/namespaces/a/secrets/gradient-secrets",
        f"{roles}/clusterroles/view",
    ]


def test_the_storages_pod_is_stopped_at_once_and_not_made_again(server):
    part = {"app.kubernetes.io/part-of": "gradient"}
    server.add("/apis/apps/v1/namespaces/gradient-system/statefulsets/seaweedfs", **part)
    server.add("/api/v1/namespaces/gradient-system/pods/seaweedfs-0", **part)
    uninstall(Api(server))
    told = [(path, options) for method, path, options in server.calls if method == "DELETE"]
    kinds = [(path.partition("?")[0].rsplit("/", 1)[1], options) for path, options in told]
    assert kinds[:2] == [
        ("statefulsets", {"propagationPolicy": "Orphan"}),
        ("pods", {"gracePeriodSeconds": 1}),
    ]
    assert server.objects == {}


def test_the_operator_goes_before_what_it_would_make_again(server):
    server.add(
        "/apis/apps/v1/namespaces/gradient-system/deployments/gradient-operator",
        **{"app.kubernetes.io/part-of": "gradient"},
    )
    server.add("/apis/gradient.run/v1alpha1/namespaces/a/gradientworkflows/w")
    uninstall(Api(server))
    deleted = [path for method, path, _ in server.calls if method == "DELETE"]
    assert "deployments" in deleted[0]
    assert "gradientworkflows" in deleted[1]
