import base64
import json

import pytest

from hack import install
from hack.commands import Result
from hack.errors import SetupError

BOTH = ("gradient-storage-default", "seaweedfs-identities")


class Cluster:
    """A kubectl whose cluster is a dictionary of Secrets."""

    def __init__(self, **secrets):
        self.secrets = secrets
        self.lines = []
        self.full = False
        self.others = {}
        """What another installation makes just before a Secret of this name is made."""

    def attempt(self, *words, text=None):
        self.lines.append(words)
        document = json.loads(text)
        assert document["metadata"]["namespace"] == "gradient-system"
        name = document["metadata"]["name"]
        self.secrets.update(self.others.pop(name, {}))
        if name in self.secrets:
            return Result(1, "", f'Error from server (AlreadyExists): secrets "{name}"')
        if self.full:
            return Result(1, "", "Error from server (Forbidden): exceeded quota")
        self.secrets[name] = document["stringData"]
        return Result(0, "", "")

    def __call__(self, *words, text=None):
        self.lines.append(words)
        values = self.secrets.get(words[2])
        if values is None:
            return ""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        return json.dumps({"data": data})

    def keys(self):
        (identity,) = json.loads(self.secrets[BOTH[1]]["identities.json"])["identities"]
        (credential,) = identity["credentials"]
        mounted = self.secrets[BOTH[0]]
        return credential, {
            "accessKey": mounted["accessKeyId"],
            "secretKey": mounted["secretAccessKey"],
        }


def test_both_halves_of_the_credentials_agree_and_differ_from_the_last_cluster():
    first, second = Cluster(), Cluster()
    for cluster in (first, second):
        install.provide_credentials(cluster)
        server, operator = cluster.keys()
        assert server == operator
    assert first.keys() != second.keys()


def test_credentials_are_kept():
    cluster = Cluster()
    install.provide_credentials(cluster)
    before = json.dumps(cluster.secrets)
    install.provide_credentials(cluster)
    assert json.dumps(cluster.secrets) == before


@pytest.mark.parametrize("lost", BOTH)
def test_a_lost_half_is_made_of_the_other(lost):
    cluster = Cluster()
    install.provide_credentials(cluster)
    before = cluster.keys()
    del cluster.secrets[lost]
    install.provide_credentials(cluster)
    assert cluster.keys() == before


def test_what_another_installation_made_meanwhile_is_taken():
    other = Cluster()
    install.provide_credentials(other)
    cluster = Cluster()
    cluster.others[BOTH[0]] = {BOTH[0]: other.secrets[BOTH[0]]}
    install.provide_credentials(cluster)
    server, operator = cluster.keys()
    assert server == operator == other.keys()[0]


def test_a_secret_that_cannot_be_made_is_said():
    cluster = Cluster()
    cluster.full = True
    with pytest.raises(SetupError, match=r"gradient-storage-default cannot be made: .*quota"):
        install.provide_credentials(cluster)


def test_no_credential_stands_on_a_command_line():
    cluster = Cluster()
    install.provide_credentials(cluster)
    line = " ".join(word for words in cluster.lines for word in words)
    assert not [value for value in cluster.keys()[0].values() if value in line]


def test_an_unknown_overlay_is_refused_with_the_known_ones():
    with pytest.raises(SetupError, match=r"choose from kind, local"):
        install.find_overlay("production")


def test_an_overlay_can_be_a_folder_of_ones_own(tmp_path):
    (tmp_path / "kustomization.yaml").touch()
    assert install.find_overlay(str(tmp_path)) == tmp_path


def test_without_a_cluster_the_way_to_one_is_said(monkeypatch, tmp_path):
    monkeypatch.delenv("CLUSTER", raising=False)
    monkeypatch.setattr(install, "LOCAL", tmp_path)
    with pytest.raises(SetupError, match="`make cluster`"):
        install.find_kubectl()


def test_a_cluster_that_does_not_answer_is_told_apart(monkeypatch, tmp_path):
    monkeypatch.delenv("CLUSTER", raising=False)
    monkeypatch.setattr(install, "LOCAL", tmp_path)
    (tmp_path / "kubeconfig").write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "contexts: [{name: c, context: {cluster: c}}]\n"
    )
    with pytest.raises(SetupError, match=r"does not answer .*`make cluster`"):
        install.find_kubectl()


class Unready:
    """A cluster whose workload never gets ready, for the reason in its Pod's container."""

    def __init__(self, reason, *, restarts=0):
        state = {"waiting": {"reason": reason}}
        container = {"name": "operator", "restartCount": restarts, "state": state}
        pod = {"metadata": {"name": "one"}, "status": {"containerStatuses": [container]}}
        self.pods = json.dumps({"items": [pod]})

    def __call__(self, *words, text=None):
        return self.pods

    def attempt(self, *words, text=None):
        if words[0] == "rollout":
            return Result(code=1, output="", errors="timed out")
        said = "no such file\n" if words[0] == "logs" else "one 0/1 Pending\n"
        return Result(code=0, output=said, errors="")


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        (Unready("ErrImageNeverPull"), "make load"),
        (Unready("CrashLoopBackOff", restarts=2), "no such file"),
        (Unready("ContainerCreating"), "describe pods -l app.kubernetes.io/name=gradient-operator"),
    ],
)
def test_a_workload_that_does_not_get_ready_is_shown_with_the_remedy(cluster, said):
    with pytest.raises(SetupError) as caught:
        install.roll_out(cluster, "deployment/gradient-operator")
    assert said in str(caught.value)
