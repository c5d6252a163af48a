"""Certificates and kubeconfigs fit each other, and a half-made set is never used."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hack.cluster import kubeconfig, pki, profile
from hack.cluster.profile import REAL, STATE_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(monkeypatch, tmp_path: Path) -> Path:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(profile, "LOCAL", tmp_path / "local")
    REAL.state.mkdir()
    return REAL.state


def test_make_pki_makes_what_the_authority_confirms(state: Path):
    assert pki.make_pki(REAL)
    folder = state / "pki"
    for certificate in pki.certificates(REAL):
        command = ["openssl", "verify", "-CAfile", "ca.crt", f"{certificate.name}.crt"]
        assert subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0
        ssl.create_default_context().load_cert_chain(
            folder / f"{certificate.name}.crt", folder / f"{certificate.name}.key"
        )
    assert all(key.stat().st_mode & 0o777 == 0o600 for key in folder.glob("*.key"))
    assert not pki.make_pki(REAL)


def test_make_pki_starts_again_where_it_was_interrupted(state: Path):
    draft = state / "pki.part"
    draft.mkdir()
    (draft / "ca.key").write_text("half")
    assert pki.make_pki(REAL)
    assert not draft.exists()
    assert (state / "pki/ca.key").read_text() != "half"


def test_admin_kubeconfig_embeds_everything_and_is_private(state: Path):
    pki.make_pki(REAL)
    assert kubeconfig.write_admin_kubeconfig(REAL)
    assert REAL.kubeconfig.stat().st_mode & 0o777 == 0o600
    document = json.loads(REAL.kubeconfig.read_text())
    user = document["users"][0]["user"]
    key = base64.b64decode(user["client-key-data"])
    assert key == (state / "pki/admin.key").read_bytes()
    assert str(state) not in REAL.kubeconfig.read_text()
    assert not kubeconfig.write_admin_kubeconfig(REAL)


def test_remove_admin_kubeconfig_leaves_that_of_another_cluster(state: Path):
    REAL.kubeconfig.parent.mkdir()
    REAL.kubeconfig.write_text(json.dumps({"current-context": "kind-gradient"}))
    kubeconfig.remove_admin_kubeconfig(REAL)
    assert REAL.kubeconfig.exists()
    REAL.kubeconfig.write_text(json.dumps({"current-context": "gradient-real"}))
    kubeconfig.remove_admin_kubeconfig(REAL)
    assert not REAL.kubeconfig.exists()


def test_kubelets_are_who_the_node_authorizer_expects():
    users = {one.user: one.group for one in pki.certificates(REAL) if "kubelet-" in one.name}
    assert {f"system:node:{node.name}" for node in REAL.nodes} <= set(users)
    assert users["system:node:cpu-1"] == "system:nodes"


def test_control_groups_of_clusters_with_other_state_do_not_meet(monkeypatch, tmp_path: Path):
    monkeypatch.delenv(STATE_VARIABLE, raising=False)
    usual = REAL.control_group(REAL.nodes[0])
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    assert REAL.control_group(REAL.nodes[0]) != usual == "gradient-real-cpu-1"


def test_state_is_the_users_own_only_where_no_root_is_needed(monkeypatch, tmp_path: Path):
    monkeypatch.delenv(STATE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(profile.os, "geteuid", lambda: 1000)
    assert REAL.state == profile.MACHINE_WIDE_STATE / "real"
    mine = replace(REAL, needs_root=False)
    assert mine.state == tmp_path / "gradient-cluster" / "real"
