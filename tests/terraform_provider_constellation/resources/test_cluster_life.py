# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation_cluster`: made, looked at, repaired and forgotten by the real Terraform, with a real API server."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node

from constellation_core.join_config import ControlPlanes, JoinConfig
from constellation_engine.cluster.join_config import put, show
from constellation_engine.errors import BringUpError
from constellation_engine.local_cluster import Workspace
from constellation_engine.local_cluster.settings import ClusterSettings, read_settings, write_settings

if TYPE_CHECKING:
    from tests.terraform_provider_constellation.resources.standing_cluster import StandingCluster
    from tests.terraform_provider_constellation.resources.workplace import Workplace

KIND = "constellation_cluster"
ADDRESS = f"{KIND}.mini"
SECRET = "5e" * 32

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.usefixtures("workspace")]


def cluster(*lines: str, before: str = "") -> str:
    more = "\n  ".join(('workspace = "${path.cwd}/cluster"', *lines))
    return f'{before}resource "{KIND}" "mini" {{\n  {more}\n}}\n'


def bounded(text: str, most: int) -> str:
    """Give a join-config with another number of control planes."""
    return replace(JoinConfig.from_yaml(text), control_planes=ControlPlanes(max=most)).to_yaml()


def test_it_is_made_and_then_there_is_nothing_to_do(terraform: Workplace, standing: StandingCluster) -> None:
    terraform.write(cluster())
    change = terraform.change(ADDRESS)
    assert change["actions"] == ["create"]
    assert "imageKey" in change["after"]["join_config"]
    terraform.applied()
    state = terraform.state(KIND, "mini")
    assert (state["ready"], state["reachable"], state["attested"], state["problems"]) == (True, True, True, [])
    assert [(node["name"], node["ready"], node["attested"]) for node in state["nodes"]] == [
        ("control-plane-0", True, True),
        ("worker-0", True, True),
    ]
    assert state["host"] == standing.control_plane.url
    assert state["kubernetes_version"] == "v1.36.4"
    assert not terraform.differs()
    assert standing.phases == ["infrastructure", "init", "verify"]


def test_no_secret_is_in_state_or_plan(terraform: Workplace, standing: StandingCluster, workspace: Workspace) -> None:
    terraform.write(
        cluster("master_secret_wo = var.secret", "master_secret_wo_version = 1", before=_variable("secret"))
    )
    terraform.environment["TF_VAR_secret"] = SECRET
    assert terraform.run("plan", "-out=plan").status == 0
    assert terraform.run("apply", "plan").status == 0
    assert workspace.master_secret().secret.reveal().hex() == SECRET
    key = standing.control_plane.kubeconfig().with_suffix(".key").read_text().splitlines()[1]
    secrets = (SECRET, workspace.init_secret().reveal().decode(), key)
    assert not [secret for secret in secrets if secret.encode() in terraform.stored()]
    assert not terraform.differs()


def test_a_write_only_secret_is_taken_once(
    terraform: Workplace, standing: StandingCluster, workspace: Workspace
) -> None:
    ephemeral = 'ephemeral "constellation_master_secret" "new" {}\n'
    lines = ("master_secret_wo = ephemeral.constellation_master_secret.new.master_secret",)
    terraform.write(cluster(*lines, "master_secret_wo_version = 1", before=ephemeral))
    terraform.applied()
    taken = workspace.master_secret()
    assert not terraform.differs()
    assert workspace.master_secret() == taken
    terraform.write(cluster(*lines, "master_secret_wo_version = 2", before=ephemeral))
    assert "The master secret cannot change" in terraform.run("plan").text
    assert standing.phases.count("init") == 1


def test_a_change_of_the_join_config_by_kubectl_is_shown_exactly_and_repaired(
    terraform: Workplace, standing: StandingCluster
) -> None:
    terraform.write(cluster())
    terraform.applied()
    before = show(standing.client).text
    put(standing.client, bounded(before, 5))
    text = terraform.run("plan").text
    assert "- max: 5 + max: 1" in text
    assert "1 to change" in text
    terraform.applied()
    assert show(standing.client).text == before
    assert not terraform.differs()


def test_who_may_join_changes_in_place(terraform: Workplace, standing: StandingCluster) -> None:
    terraform.write(cluster())
    terraform.applied()
    terraform.write(cluster("control_planes = { max = 3, approval = true }"))
    assert terraform.change(ADDRESS)["actions"] == ["update"]
    terraform.applied()
    rule = show(standing.client).parse().control_planes
    assert (rule.max, rule.approval) == (3, True)
    assert not terraform.differs()
    terraform.write(cluster())
    terraform.applied()
    assert show(standing.client).parse().control_planes.max == 1
    assert not terraform.differs()


def test_a_node_that_is_not_ready_is_a_difference_with_its_reason(
    terraform: Workplace, standing: StandingCluster
) -> None:
    terraform.write(cluster())
    terraform.applied()
    standing.report("worker-0", ready=False)
    change = terraform.change(ADDRESS)
    assert change["actions"] == ["update"]
    assert change["before"]["problems"] == ["all nodes are Ready: worker-0 (the kubelet stopped)"]
    assert change["after"]["problems"] == []
    standing.report("worker-0", ready=True)
    assert not terraform.differs()


def test_a_node_that_nobody_attested_is_a_difference(terraform: Workplace, standing: StandingCluster) -> None:
    terraform.write(cluster())
    terraform.applied()
    standing.client.create(Node(metadata=ObjectMeta(name="smuggled")))
    standing.report("smuggled", ready=True)
    change = terraform.change(ADDRESS)
    assert (change["before"]["attested"], change["after"]["attested"]) == (False, True)
    assert "Error: The cluster is not as it should be" in terraform.apply().text
    assert terraform.instance(KIND, "mini").get("status") is None


def test_what_cannot_be_reached_stays_in_the_state(
    terraform: Workplace, standing: StandingCluster, workspace: Workspace
) -> None:
    terraform.write(cluster())
    terraform.applied()
    kubeconfig = workspace.kubeconfig.read_text()
    workspace.kubeconfig.write_text(kubeconfig.replace(standing.control_plane.url, "https://127.0.0.1:1"))
    change = terraform.change(ADDRESS)
    assert (change["actions"], change["before"]["reachable"]) == (["update"], False)
    assert "does not answer" in change["before"]["problems"][0]
    workspace.kubeconfig.write_text(kubeconfig)
    assert not terraform.differs()


def test_what_fails_half_way_is_kept_and_goes_on(terraform: Workplace, standing: StandingCluster) -> None:
    standing.broken = BringUpError("worker-0 proved something else", hint="look at its console")
    terraform.write(cluster())
    assert "Warning: The cluster is not up yet" in terraform.applied().text
    assert terraform.instance(KIND, "mini").get("status") is None
    assert terraform.state(KIND, "mini")["problems"] == ["not done yet: verify"]
    failed = terraform.apply()
    assert failed.status == 1
    assert "worker-0 proved something else. Hint: look at its console." in failed.text
    standing.broken = None
    terraform.applied()
    assert terraform.state(KIND, "mini")["ready"]
    assert not terraform.differs()
    assert standing.phases.count("init") == 1


def test_a_condition_makes_an_unfinished_cluster_an_error_that_destroys_nothing(
    terraform: Workplace, standing: StandingCluster
) -> None:
    standing.broken = BringUpError("worker-0 proved something else")
    condition = 'lifecycle {\n postcondition {\n condition = self.ready\n error_message = "not up"\n }\n }'
    terraform.write(cluster(condition))
    assert terraform.apply().status == 1
    assert terraform.instance(KIND, "mini").get("status") is None
    standing.broken = None
    terraform.applied()


def test_nothing_is_kept_of_what_was_never_initialised(
    terraform: Workplace, standing: StandingCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise BringUpError("the first node refused")

    with monkeypatch.context() as refusing:
        refusing.setattr("constellation_engine.local_cluster.phases.first_node.initialise", refuse)
        terraform.write(cluster())
        assert "Error: The cluster could not be made" in terraform.apply().text
    terraform.applied()
    assert standing.phases.count("init") == 1


@pytest.mark.parametrize("choice, left", [("forget", True), ("wipe", False)])
def test_destroying_does_what_was_chosen(
    terraform: Workplace, standing: StandingCluster, workspace: Workspace, choice: str, left: bool
) -> None:
    terraform.write(cluster(f'on_destroy = "{choice}"'))
    terraform.applied()
    assert standing.phases
    secret, known = workspace.master_secret(), Workspace.open(workspace.folder).state.cluster_id
    assert terraform.run("destroy", "-auto-approve").status == 0
    after = Workspace.open(workspace.folder)
    assert (after.master_secret() == secret) == left
    assert after.state.cluster_id == (known if left else b"")
    assert after.kubeconfig.exists() == left


def test_settings_reach_the_first_node(terraform: Workplace, standing: StandingCluster, workspace: Workspace) -> None:
    networks = 'network_config = { ip_cidr_service = "10.97.0.0/16", ip_cidr_pod = "10.245.0.0/16" }'
    terraform.write(cluster('api_server_cert_sans = ["mini.example"]', networks))
    terraform.applied()
    settings = read_settings(workspace)
    assert settings.certificate_sans == ("mini.example",)
    assert (str(settings.service_network), str(settings.pod_network)) == ("10.97.0.0/16", "10.245.0.0/16")
    assert not terraform.differs()
    terraform.write(cluster(networks))
    text = terraform.run("plan").text
    assert "api_server_cert_sans cannot change" in text
    assert "-replace=constellation_local_machines" in text
    assert standing.phases.count("init") == 1


def test_a_secret_in_the_configuration_is_kept_for_life(
    terraform: Workplace, standing: StandingCluster, workspace: Workspace
) -> None:
    terraform.write(cluster(f'master_secret = "{SECRET}"', f'master_secret_salt = "{"5a" * 32}"'))
    assert SECRET not in terraform.applied().text
    taken = workspace.master_secret()
    assert (taken.secret.reveal().hex(), taken.salt.hex()) == (SECRET, "5a" * 32)
    assert not terraform.differs()
    terraform.write(cluster(f'master_secret = "{"6f" * 32}"'))
    text = terraform.run("plan").text
    assert "Error: The master secret cannot change" in text
    assert SECRET not in text
    assert standing.phases.count("init") == 1


def test_an_imported_cluster_says_what_it_was_asked_for(
    terraform: Workplace, standing: StandingCluster, workspace: Workspace
) -> None:
    write_settings(
        workspace, ClusterSettings(certificate_sans=("mini.example",), pod_network=IPv4Network("10.245.0.0/16"))
    )
    standing.initialise(workspace)
    for phase in ("init", "services", "join", "verify"):
        workspace.finish(phase)
    standing.run_services()
    terraform.write(
        cluster('api_server_cert_sans = ["mini.example"]', 'network_config = { ip_cidr_pod = "10.245.0.0/16" }')
    )
    assert terraform.run("import", ADDRESS, str(workspace.folder)).status == 0
    terraform.applied()
    assert not terraform.differs()


def test_import_by_the_path_of_a_workspace(
    terraform: Workplace, standing: StandingCluster, workspace: Workspace
) -> None:
    standing.initialise(workspace)
    for phase in ("init", "services", "join", "verify"):
        workspace.finish(phase)
    terraform.write(cluster())
    result = terraform.run("import", ADDRESS, str(workspace.folder))
    assert result.status == 0, result.text
    state = terraform.state(KIND, "mini")
    assert (state["uid"], state["reachable"]) == (workspace.state.uid, True)
    assert json.dumps(state).find("client-key") == -1


def _variable(name: str) -> str:
    return f'variable "{name}" {{\n  type = string\n  ephemeral = true\n}}\n'
