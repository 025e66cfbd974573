# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Every argument of a resource, wrong in turn: one message that says what was expected, at the argument itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.local_cluster import Workspace
    from tests.terraform_provider_constellation.resources.workplace import Workplace

MACHINES = {"workspace": '"w"', "image": '"i"'}
CLUSTER = {"workspace": '"w"'}
JOIN_CONFIG = {"workspace": '"w"', "document": '"version: 1"'}
ATTESTATION = f'{{ variant = "qemu-vtpm", measurements = {{ "4" = {{ expected = "{"00" * 32}" }} }} }}'

WRONG = [
    ("local_machines", {"image": "7"}, "image", "Expected `image` of `data.constellation_image`, or the folder"),
    ("local_machines", {"image": "{ path = null }"}, "image", "or the folder of an image, got 1 elements"),
    ("local_machines", {"name": '"My Cluster"'}, "name", "Expected 1 to 32 of a-z, 0-9 and - inside"),
    ("local_machines", {"control_planes": "2"}, "control_planes", "Expected one of 1, 3, 5, got 2"),
    ("local_machines", {"workers": "-1"}, "workers", "Expected 0 to 32, got -1"),
    ("local_machines", {"workers": "1.5"}, "workers", "Expected a whole number, got 1.5"),
    ("local_machines", {"cpus": "1"}, "cpus", "Expected 2 to 255, got 1"),
    ("local_machines", {"memory": "1024"}, "memory", "Expected 2048 to 1048576 MiB, got 1024"),
    ("local_machines", {"state_disk": "0"}, "state_disk", "Expected 2048 to 16777216 MiB, got 0"),
    ("cluster", {"image": "[]"}, "image", "Expected `image` of `data.constellation_image`"),
    ("cluster", {"kubernetes_version": '"1.36"'}, "kubernetes_version", "Expected a version as v1.36.4"),
    ("cluster", {"api_server_cert_sans": '["a b"]'}, "api_server_cert_sans", "Expected names or IP addresses"),
    (
        "cluster",
        {"network_config": '{ ip_cidr_pod = "10.0.0.0" }'},
        "network_config",
        "Expected a private IPv4 network",
    ),
    ("cluster", {"network_config": '{ ip_cidr_service = "8.8.8.0/24" }'}, "network_config", "a private IPv4 network"),
    ("cluster", {"network_config": '{ ip_cidr_node = "192.168.77.1/24" }'}, "network_config", "a private IPv4 network"),
    ("cluster", {"network_config": '{ ip_cidr_pod = "10.96.0.0/16" }'}, "network_config", "apart from one another"),
    ("cluster", {"control_planes": "{ max = 9 }"}, "control_planes", "Expected 1 to 7, got 9"),
    ("cluster", {"join_config": '"version: 1"'}, "join_config", "Expected a join-config (join-config: neither images"),
    ("cluster", {"master_secret": '"5e"'}, "master_secret", "64 digits 0-9, a-f. What came is sensitive"),
    (
        "cluster",
        {"master_secret_wo": '"5e"'},
        "master_secret_wo",
        "64 digits 0-9, a-f. What came is sensitive",
    ),
    (
        "cluster",
        {"master_secret_wo": f'"{"5e" * 32}"'},
        "master_secret_wo",
        "master_secret_wo_version must be given",
    ),
    ("cluster", {"master_secret_salt": '"5e"'}, "master_secret_salt", "Expected 64 digits 0-9, a-f"),
    ("cluster", {"master_secret_salt": f'"{"5e" * 32}"'}, "master_secret_salt", "With master_secret_salt also"),
    ("cluster", {"on_destroy": '"explode"'}, "on_destroy", "Expected one of forget, wipe"),
    ("cluster", {"timeouts": 'block { create = "soon" }'}, "timeouts.create", "Expected a duration such as 1h30m"),
    ("cluster", {"join_config": '"version: 1\\nx: 1"'}, "join_config", "has the unknown field 'x'"),
    ("join_config", {}, "document", "Expected a join-config"),
    ("join_config", {"document": "null"}, "", "Expected exactly one of document, attestations, got none"),
    ("join_config", {"document": "null", "attestations": "[]"}, "attestations", "Expected 1 to 32 elements"),
    (
        "join_config",
        {"workspace": "null", "document": "null", "attestations": f"[{ATTESTATION}]"},
        "",
        "Expected exactly one of workspace, kubeconfig_path, got none",
    ),
]


def configuration(kind: str, arguments: dict[str, str]) -> str:
    usual = {"local_machines": MACHINES, "cluster": CLUSTER, "join_config": JOIN_CONFIG}[kind]
    given = usual | arguments
    blocks = [f"{name} {value.removeprefix('block ')}" for name, value in given.items() if value.startswith("block ")]
    lines = [f"{name} = {value}" for name, value in given.items() if not value.startswith("block ")]
    return f'resource "constellation_{kind}" "it" {{\n  {chr(10).join((*lines, *blocks))}\n}}\n'


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_argument_is_blamed_for_itself(terraform: Workplace) -> None:
    for kind, arguments, where, said in WRONG:
        terraform.write(configuration(kind, arguments))
        found = terraform.problems()
        assert [(one["severity"], "Traceback" in one["detail"]) for one in found] == [("error", False)], found
        (problem,) = found
        text = " ".join(f"{problem['summary']}: {problem['detail']}".split())
        assert said in text, (kind, arguments, text)
        if where:
            shown = problem["snippet"]["code"]
            assert where.rpartition(".")[2] in shown, (kind, arguments, problem)


@pytest.mark.parametrize(
    "lines, said",
    [
        ('name = "other"', "The machines are of another cluster"),
        ('kubernetes_version = "v1.35.0"', "constellation image build --kubernetes v1.35.0"),
        ('network_config = { ip_cidr_node = "192.168.0.0/24" }', "The machines have other addresses"),
        ('image = "elsewhere"', "The machines boot another image"),
        ('uid = "other"', "The workspace is of other machines"),
        ('machines = ["control-plane-0"]', "The workspace has other machines"),
    ],
)
def test_what_does_not_go_with_the_machines_is_refused(
    terraform: Workplace, workspace: Workspace, lines: str, said: str
) -> None:
    terraform.write(f'resource "constellation_cluster" "it" {{\n  workspace = "{workspace.folder}"\n  {lines}\n}}\n')
    text = terraform.apply().text
    assert f"Error: {said}" in text or said in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("name", "other", "The machines are of another cluster"),
        ("kubernetes_version", "v1.35.0", "constellation image build --kubernetes v1.35.0"),
        ("image", "elsewhere", "The machines boot another image"),
        ("uid", "other", "The workspace is of other machines"),
    ],
)
def test_what_is_known_late_is_refused_by_apply(
    terraform: Workplace, workspace: Workspace, name: str, value: str, said: str
) -> None:
    late = f'resource "terraform_data" "late" {{\n  input = "{value}"\n}}\n'
    arguments = f'  workspace = "{workspace.folder}"\n  {name} = terraform_data.late.output\n'
    terraform.write(f'{late}resource "constellation_cluster" "it" {{\n{arguments}}}\n')
    assert terraform.run("plan").status == 0
    assert said in terraform.apply().text


@pytest.mark.parametrize(
    "argument",
    [
        "master_secret = terraform_data.late.output",
        "control_planes = { max = length(terraform_data.late.output) }",
        "network_config = { ip_cidr_node = terraform_data.late.output }",
        "api_server_cert_sans = [terraform_data.late.output]",
        "join_config = terraform_data.late.output",
    ],
)
def test_what_is_not_known_yet_is_planned(terraform: Workplace, workspace: Workspace, argument: str) -> None:
    late = 'resource "terraform_data" "late" {\n  input = "x"\n}\n'
    arguments = f'  workspace = "{workspace.folder}"\n  {argument}\n'
    terraform.write(f'{late}resource "constellation_cluster" "it" {{\n{arguments}}}\n')
    result = terraform.run("plan")
    assert (result.status, "2 to add" in result.text) == (0, True), result.text


def test_machines_of_no_image(terraform: Workplace, tmp_path: Path) -> None:
    terraform.write(
        f'resource "constellation_local_machines" "it" {{\n  workspace = "w"\n  image = "{tmp_path}/none"\n}}\n'
    )
    text = terraform.run("plan").text
    assert "Error: The image cannot be used" in text
    assert "constellation image build makes one" in text


def test_a_cluster_without_machines(terraform: Workplace, tmp_path: Path) -> None:
    terraform.write(f'resource "constellation_cluster" "it" {{\n  workspace = "{tmp_path}/none"\n}}\n')
    text = terraform.apply().text
    assert "Error: There are no machines for the cluster" in text
    assert "expected the workspace of a cluster, there is none" in text
