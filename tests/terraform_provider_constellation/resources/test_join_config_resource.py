# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation_join_config`: changed, drifted, repaired and changed back, with a real API server."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from constellation_core.join_config import ControlPlanes, JoinConfig
from constellation_engine.cluster.join_config import history, put, show
from constellation_engine.local_cluster.settings import image_join_config, join_config

if TYPE_CHECKING:
    from constellation_engine.local_cluster import Workspace
    from tests.terraform_provider_constellation.resources.standing_cluster import StandingCluster
    from tests.terraform_provider_constellation.resources.workplace import Workplace

KIND = "constellation_join_config"
ADDRESS = f"{KIND}.who"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def cluster(standing: StandingCluster, workspace: Workspace) -> StandingCluster:
    """A cluster that is up."""
    standing.initialise(workspace)
    for phase in ("infrastructure", "init", "services", "join", "verify"):
        workspace.finish(phase)
    return standing


def wanted(workspace: Workspace, most: int) -> str:
    return replace(image_join_config(workspace), control_planes=ControlPlanes(max=most)).to_yaml()


def configuration(workspace: Workspace, document: str, place: str = "") -> str:
    where = place or f'workspace = "{workspace.folder}"'
    return f'resource "{KIND}" "who" {{\n  {where}\n  document = {json.dumps(document)}\n}}\n'


def test_it_is_written_and_put_back(terraform: Workplace, cluster: StandingCluster, workspace: Workspace) -> None:
    before = show(cluster.client).text
    terraform.write(configuration(workspace, wanted(workspace, 5)))
    terraform.applied()
    assert show(cluster.client).parse().control_planes.max == 5
    assert terraform.state(KIND, "who")["revision"] == history(cluster.client)[-1].number
    assert join_config(workspace).control_planes.max == 5
    assert not terraform.differs()
    assert terraform.run("destroy", "-auto-approve").status == 0
    assert show(cluster.client).text == before
    assert join_config(workspace).control_planes.max == 1


def test_what_somebody_else_changed_is_shown_and_repaired(
    terraform: Workplace, cluster: StandingCluster, workspace: Workspace
) -> None:
    terraform.write(configuration(workspace, wanted(workspace, 5)))
    terraform.applied()
    put(cluster.client, wanted(workspace, 7))
    assert "- max: 7 + max: 5" in terraform.run("plan").text
    terraform.applied()
    assert show(cluster.client).parse().control_planes.max == 5
    assert not terraform.differs()


def test_other_words_for_the_same_are_no_change(
    terraform: Workplace, cluster: StandingCluster, workspace: Workspace
) -> None:
    terraform.write(configuration(workspace, wanted(workspace, 5)))
    terraform.applied()
    text = wanted(workspace, 5)
    terraform.write(configuration(workspace, f"# a comment\n{text}"))
    assert not terraform.differs()
    assert show(cluster.client).text == text


def test_policies_make_a_document(terraform: Workplace, cluster: StandingCluster, workspace: Workspace) -> None:
    image = 'data "constellation_image" "it" {\n  path = "${path.cwd}/image"\n}\n'
    attestation = (
        'data "constellation_attestation" "it" {\n  image = data.constellation_image.it.image\n'
        "  public_key = data.constellation_image.it.image.public_key\n}\n"
    )
    arguments = (
        f'  workspace = "{workspace.folder}"\n  attestations = [data.constellation_attestation.it.attestation]\n'
        "  control_planes = { max = 3 }\n"
    )
    terraform.write(f'{image}{attestation}resource "{KIND}" "who" {{\n{arguments}}}\n')
    terraform.applied()
    found = show(cluster.client).parse()
    assert ([str(policy.variant) for policy in found.policies], found.control_planes.max) == (["qemu-vtpm"], 3)
    assert found.images == JoinConfig.from_yaml(wanted(workspace, 3)).images
    assert not terraform.differs()


def test_what_is_not_known_yet_is_planned(terraform: Workplace, workspace: Workspace) -> None:
    late = 'resource "terraform_data" "late" {\n  input = "qemu-vtpm"\n}\n'
    register = f'{{ "4" = {{ expected = "{"00" * 32}" }} }}'
    arguments = (
        f'  workspace = "{workspace.folder}"\n'
        f"  attestations = [{{ variant = terraform_data.late.output, measurements = {register} }}]\n"
    )
    terraform.write(f'{late}resource "{KIND}" "who" {{\n{arguments}}}\n')
    result = terraform.run("plan")
    assert (result.status, "document = (known after apply)" in result.text) == (0, True), result.text


def test_a_cluster_and_its_join_config_get_along(
    terraform: Workplace, cluster: StandingCluster, workspace: Workspace
) -> None:
    with_cluster = f'resource "constellation_cluster" "mini" {{\n  workspace = "{workspace.folder}"\n}}\n'
    terraform.write(with_cluster)
    terraform.applied()
    terraform.write(with_cluster + configuration(workspace, wanted(workspace, 5)))
    terraform.applied()
    assert not terraform.differs()
    assert show(cluster.client).parse().control_planes.max == 5


def test_by_kubeconfig_and_import(terraform: Workplace, cluster: StandingCluster, workspace: Workspace) -> None:
    text = show(cluster.client).text
    place = f'kubeconfig_path = "{workspace.kubeconfig}"'
    terraform.write(configuration(workspace, text, place))
    assert terraform.run("import", ADDRESS, str(workspace.kubeconfig)).status == 0
    assert terraform.state(KIND, "who")["document"] == text
    assert not terraform.differs()


def test_a_cluster_that_does_not_answer_is_a_warning_in_plans(
    terraform: Workplace, cluster: StandingCluster, workspace: Workspace
) -> None:
    terraform.write(configuration(workspace, wanted(workspace, 5)))
    terraform.applied()
    away = workspace.kubeconfig.read_text().replace(cluster.control_plane.url, "https://127.0.0.1:1")
    workspace.kubeconfig.write_text(away)
    result = terraform.run("plan")
    assert (result.status, "Warning: The join-config cannot be looked at" in result.text) == (0, True)
    assert "No changes" in result.text
