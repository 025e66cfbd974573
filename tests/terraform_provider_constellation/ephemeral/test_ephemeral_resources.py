# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Ephemeral resources: what other providers and write-only arguments get, and what no file of Terraform has."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from constellation_core.keys.master_secret import MasterSecret
from constellation_engine.local_cluster.workspace import ClusterSpec, Workspace, write_private
from constellation_engine.testing.node_images import FakeImage
from terraform_provider_constellation.ephemeral.kubeconfig import Kubeconfig, KubeconfigLease
from terraform_provider_constellation.ephemeral.master_secret import MasterSecretChoice, MasterSecretLease
from terraform_provider_constellation.plugin.api import Lease, ProviderError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.terraform_provider_constellation.real_terraform import Terraform

CLUSTER_ID = "5c" * 32
PARTS = {
    "certificate-authority-data": "an authority",
    "client-certificate-data": "a certificate",
    "client-key-data": "a key",
}


def kubeconfig(**changes: object) -> bytes:
    data = {name: base64.b64encode(text.encode()).decode() for name, text in PARTS.items()}
    authority = {"certificate-authority-data": data.pop("certificate-authority-data")}
    record = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "admin",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", **authority}}],
        "users": [{"name": "u", "user": data}],
        "contexts": [{"name": "admin", "context": {"cluster": "c", "user": "u"}}],
    }
    return json.dumps(record | changes).encode()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """The workspace of a cluster that is initialised."""
    image = FakeImage().write(tmp_path / "image")
    made = Workspace.create(tmp_path / "cluster", ClusterSpec(image=image.path))
    made.initialised(bytes.fromhex(CLUSTER_ID), kubeconfig())
    return made


def opened(**arguments: object) -> Kubeconfig:
    return asyncio.run(KubeconfigLease().open(Kubeconfig(**arguments), Lease()))


def secret(**arguments: object) -> MasterSecretChoice:
    return asyncio.run(MasterSecretLease().open(MasterSecretChoice(**arguments), Lease()))


def stored_in(folder: Path, text: bytes) -> list[str]:
    """Files of Terraform that have it: the state, and parts of the plan."""
    with ZipFile(folder / "plan") as plan:
        stored = {name: plan.read(name) for name in plan.namelist()}
    stored |= {path.name: path.read_bytes() for path in folder.glob("*.tfstate*")}
    assert "tfplan" in stored
    return [name for name, content in stored.items() if text in content]


class TestKubeconfig:
    def test_its_parts_are_given(self, workspace: Workspace) -> None:
        given = opened(workspace=str(workspace.folder), cluster_id=CLUSTER_ID)
        parts = (given.cluster_ca_certificate, given.client_certificate, given.client_key)
        assert parts == tuple(PARTS.values())
        assert (given.host, given.kubeconfig.encode()) == ("https://127.0.0.1:1", kubeconfig())

    def test_a_file_by_itself(self, workspace: Workspace) -> None:
        given = opened(kubeconfig_path=str(workspace.kubeconfig))
        assert given.client_key == PARTS["client-key-data"]

    @pytest.mark.parametrize("argument", ["kubeconfig_path", "cluster_id"])
    def test_terraform_waits_for_a_cluster_that_is_not_there_yet(self, terraform: Terraform, argument: str) -> None:
        more = 'workspace = "/nowhere"' if argument == "cluster_id" else ""
        terraform.write(f"""
resource "terraform_data" "cluster" {{
  input = "x"
}}
ephemeral "constellation_kubeconfig" "a" {{
  {more}
  {argument} = terraform_data.cluster.id
}}
""")
        result = terraform.run("plan")
        assert result.status == 0, result.text

    def test_nothing_secret_is_shown(self, workspace: Workspace) -> None:
        shown = repr(opened(workspace=str(workspace.folder)))
        assert "a key" not in shown
        assert PARTS["client-key-data"] not in shown

    @pytest.mark.parametrize(
        "content, message",
        [
            (b"{}", "it has no current-context"),
            (kubeconfig(users=[]), "it has no user u"),
            (kubeconfig(users=[{"name": "u", "user": {"token": "t"}}]), "it has no client-certificate-data"),
            (b"a: [", "it cannot be read (MalformedError)"),
            (b"[]", "it cannot be read (TypeError)"),
            (b"\xff", "it cannot be read (UnicodeDecodeError)"),
        ],
    )
    def test_what_is_no_kubeconfig_is_told(self, workspace: Workspace, content: bytes, message: str) -> None:
        write_private(workspace.kubeconfig, content)
        with pytest.raises(ProviderError) as caught:
            opened(workspace=str(workspace.folder))
        assert message in caught.value.problems[0].detail
        assert str(caught.value.problems[0].path) == "workspace"

    def test_a_file_that_others_can_read_is_refused(self, workspace: Workspace) -> None:
        workspace.kubeconfig.chmod(0o644)
        with pytest.raises(ProviderError) as caught:
            opened(workspace=str(workspace.folder))
        assert "expected mode 0600, got 0644" in caught.value.problems[0].detail

    def test_another_cluster_is_refused(self, workspace: Workspace) -> None:
        with pytest.raises(ProviderError, match="Another cluster"):
            opened(workspace=str(workspace.folder), cluster_id="00" * 32)

    def test_a_workspace_that_is_none_is_an_error_where_it_is_written(self, terraform: Terraform) -> None:
        terraform.write('ephemeral "constellation_kubeconfig" "a" {\n  workspace = "/nowhere"\n}')
        text = terraform.run("plan").text
        assert "Error: No kubeconfig" in text
        assert "/nowhere: expected the workspace of a cluster, there is none" in text
        assert 'workspace = "/nowhere"' in text


class TestMasterSecret:
    def test_a_new_one_is_another_each_time(self) -> None:
        one, other = secret(), secret()
        assert len(one.master_secret) == len(one.master_secret_salt) == 64
        assert one.master_secret != other.master_secret

    @pytest.mark.parametrize("argument, file", [("workspace", ""), ("file", "master-secret.json")])
    def test_that_of_a_cluster(self, workspace: Workspace, argument: str, file: str) -> None:
        given = secret(**{argument: str(workspace.folder / file)})
        assert given.master_secret == workspace.master_secret().secret.reveal().hex()
        assert given.master_secret_salt == workspace.master_secret().salt.hex()

    def test_nothing_secret_is_shown(self) -> None:
        given = secret()
        assert given.master_secret not in repr(given)

    def test_a_file_that_is_none_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ProviderError) as caught:
            secret(file=str(tmp_path / "none"))
        assert "No such file" in caught.value.problems[0].detail

    def test_it_is_in_no_state_and_no_plan(self, terraform: Terraform, tmp_path: Path) -> None:
        master = MasterSecret.random()
        master.create(tmp_path / "master-secret.json")
        terraform.write(f"""
ephemeral "constellation_master_secret" "a" {{
  file = "{tmp_path}/master-secret.json"
}}
resource "terraform_data" "a" {{
  input = "x"
}}
""")
        terraform.run("plan", "-out=plan")
        assert terraform.run("apply", "plan").status == 0
        assert not stored_in(terraform.folder, master.secret.reveal().hex().encode())
