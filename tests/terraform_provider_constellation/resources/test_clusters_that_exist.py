# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Clusters that Terraform did not make: by URL, from the earlier provider's state, from a newer one's; and several."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from constellation_core.keys.master_secret import MasterSecret
from constellation_engine.local_cluster import ClusterSpec, Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.terraform_provider_constellation.resources.standing_cluster import StandingCluster
    from tests.terraform_provider_constellation.resources.workplace import Workplace

KIND = "constellation_cluster"
ADDRESS = f"{KIND}.it"
SECRET, SALT = "5e" * 32, "5a" * 32


def configuration(folder: object) -> str:
    return f'resource "{KIND}" "it" {{\n  workspace = "{folder}"\n}}\n'


def url(folder: Path, kubeconfig: bytes) -> str:
    text = base64.b64encode(kubeconfig).decode()
    keys = f"kubeConfig={text}&clusterEndpoint=192.0.2.1&masterSecret={SECRET}&masterSecretSalt={SALT}"
    return f"constellation-cluster://?{keys}&workspace={folder}"


@pytest.mark.slow
def test_secrets_of_a_url_go_into_files_and_not_into_the_state(
    terraform: Workplace, standing: StandingCluster, workspace: Workspace
) -> None:
    standing.initialise(workspace)
    kubeconfig, folder = standing.control_plane.kubeconfig().read_bytes(), terraform.folder / "imported"
    terraform.write(configuration(folder))
    result = terraform.run("import", ADDRESS, url(folder, kubeconfig))
    assert result.status == 0, result.text
    assert "clusterEndpoint has no effect" in result.text
    state = terraform.state(KIND, "it")
    assert (state["reachable"], [node["name"] for node in state["nodes"]]) == (True, ["control-plane-0", "worker-0"])
    assert MasterSecret.load(folder / "master-secret.json").secret.reveal().hex() == SECRET
    assert (folder / "kubeconfig").stat().st_mode & 0o777 == 0o600
    assert SECRET.encode() not in terraform.stored()
    planned = terraform.run("plan")
    assert "No changes" in planned.text
    assert "its machines are not of this provider" in planned.text


@pytest.mark.parametrize(
    "id_, said",
    [
        ("constellation-cluster://", "Expected kubeConfig in the URL"),
        ("constellation-cluster://?kubeConfig=%", "kubeConfig: expected base64"),
        ("constellation-cluster://?kubeConfig=YQ==&masterSecret=5e", "masterSecret: expected 64 digits 0-9, a-f"),
        (f"constellation-cluster://?kubeConfig=YQ==&masterSecret={SECRET}", "masterSecretSalt is missing"),
        ("constellation-cluster://?kubeConfig=YQ==&colour=red", "got colour"),
        ("https://example.org/", "Expected the path of a workspace"),
        ("nowhere", "expected the workspace of a cluster, there is none"),
    ],
)
def test_what_cannot_be_imported(terraform: Workplace, id_: str, said: str) -> None:
    terraform.write(configuration(terraform.folder / "imported"))
    result = terraform.run("import", ADDRESS, id_)
    assert (result.status, said in result.text) == (1, True), result.text
    assert "Traceback" not in result.text
    assert SECRET not in result.err
    assert not (terraform.folder / "imported").exists()


def write_state(terraform: Workplace, provider: str, version: int, attributes: Mapping[str, object]) -> None:
    instance = {"schema_version": version, "attributes": attributes, "sensitive_attributes": []}
    resource = {"mode": "managed", "type": KIND, "name": "it", "provider": provider, "instances": [instance]}
    state = {"version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": "x", "resources": [resource]}
    (terraform.folder / "terraform.tfstate").write_text(json.dumps(state))


def test_a_state_of_a_newer_provider_is_refused(terraform: Workplace) -> None:
    write_state(terraform, f'provider["{terraform.address}"]', 7, {"workspace": "x", "colour": "red"})
    terraform.write(configuration("x"))
    assert "newer provider version" in terraform.run("plan").text


@pytest.mark.slow
def test_a_cluster_of_the_earlier_provider_moves_and_its_secrets_leave_the_state(
    terraform: Workplace, standing: StandingCluster, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(terraform.folder)  # as Terraform starts a provider
    standing.initialise(workspace)
    earlier = {
        "name": "old",
        "uid": "1f2e",
        "kubernetes_version": "v1.29.8",
        "kubeconfig": standing.control_plane.kubeconfig().read_text(),
        "master_secret": SECRET,
        "master_secret_salt": SALT,
    }
    reattached = json.loads(terraform.environment["TF_REATTACH_PROVIDERS"])  # Terraform asks the earlier one too
    reattached["registry.terraform.io/edgelesssys/constellation"] = reattached[terraform.address]
    terraform.environment["TF_REATTACH_PROVIDERS"] = json.dumps(reattached)
    write_state(terraform, 'provider["registry.terraform.io/edgelesssys/constellation"]', 0, earlier)
    state = json.loads((terraform.folder / "terraform.tfstate").read_text())
    state["resources"][0]["name"] = "old"
    (terraform.folder / "terraform.tfstate").write_text(json.dumps(state))
    moved = f"moved {{\n  from = {KIND}.old\n  to   = {ADDRESS}\n}}\n"
    terraform.write(configuration("constellation-old-1f2e") + moved)
    result = terraform.apply()
    assert result.status == 0, result.text
    assert "Secrets were moved out of the state" in result.text
    found = terraform.state(KIND, "it")
    assert (found["name"], found["kubernetes_version"], found["reachable"]) == ("old", "v1.29.8", True)
    assert SECRET not in (terraform.folder / "terraform.tfstate").read_text()
    folder = terraform.folder / "constellation-old-1f2e"
    assert MasterSecret.load(folder / "master-secret.json").secret.reveal().hex() == SECRET


@pytest.mark.slow
def test_two_clusters_of_one_configuration_with_values_that_are_not_known_yet(
    terraform: Workplace, standing: StandingCluster, workspace: Workspace
) -> None:
    standing.control_plane.clean()
    image = workspace.image().path
    for name in ("a", "b"):
        Workspace.create(terraform.folder / name, ClusterSpec(image=image, name=name, workers=0))
    terraform.write(f"""
resource "terraform_data" "folder" {{
  for_each = toset(["a", "b"])
  input    = "{terraform.folder}/${{each.key}}"
}}
resource "{KIND}" "it" {{
  for_each           = toset(["a", "b"])
  workspace          = terraform_data.folder[each.key].output
  name               = basename(terraform_data.folder[each.key].output)
  kubernetes_version = "1.36.4"
}}
output "ids" {{
  value = [for one in {KIND}.it : one.cluster_id]
}}
""")
    assert "4 to add" in terraform.run("plan").text
    first = terraform.run("apply", "-auto-approve", f'-target={KIND}.it["a"]')
    assert first.status == 0, first.text
    standing.control_plane.clean()
    second = terraform.run("apply", "-auto-approve", f'-target={KIND}.it["b"]', "-refresh=false")
    assert second.status == 0, second.text
    resources = json.loads((terraform.folder / "terraform.tfstate").read_text())["resources"]
    instances = next(one for one in resources if one["type"] == KIND)["instances"]
    found = {one["index_key"]: one["attributes"]["cluster_id"] for one in instances}
    assert len(set(found.values())) == 2
    assert found["a"] == Workspace.open(terraform.folder / "a").state.cluster_id.hex()
