# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`data.constellation_verification`: real TPMs of software, the real channel, the real Terraform; a no is a result."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from constellation_engine.testing.known_nodes import NAMES, let_in, workspace_of_nodes
from constellation_services.testing.verified_node import CLUSTER_ID, OTHER_CLUSTER_ID, POLICY, serving_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from attestation.testing.swtpm import Swtpm
    from constellation_engine.testing.control_plane import ControlPlane
    from tests.terraform_provider_constellation.real_terraform import Terraform

OUTPUT: Final = 'output "a" {\n  value = data.constellation_verification.a\n}\n'


@asynccontextmanager
async def cluster(tpms: tuple[Swtpm, ...]) -> AsyncIterator[dict[str, int]]:
    """Two nodes: name → port."""
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(serving_node(*one)) for one in zip(NAMES, tpms, strict=True)]
        yield {name: node.port for name, node in zip(NAMES, nodes, strict=True)}


def acceptable(**changed: str) -> str:
    """An attestation in HCL, of which JSON is a part."""
    measurements = {
        name: {"expected": changed.get(f"_{name}", register.expected.hex())}
        for name, register in POLICY.measurements.items()
    }
    return f"attestations = [{json.dumps({'variant': 'qemu-vtpm', 'measurements': measurements})}]"


def at(ports: dict[str, int], cluster_id: bytes = CLUSTER_ID) -> str:
    """Which nodes, and of which cluster."""
    endpoints = [f"{name}=127.0.0.1:{port}" for name, port in ports.items()]
    return f'endpoints = {json.dumps(endpoints)}\ncluster_id = "{cluster_id.hex()}"'


async def verified(terraform: Terraform, *arguments: str) -> dict[str, Any]:
    """Apply, which may not fail whatever nodes prove, and give what the data source says."""
    body = "\n".join(arguments)
    terraform.write(f'data "constellation_verification" "a" {{\n{body}\n}}\n{OUTPUT}')
    result = await asyncio.to_thread(terraform.apply)
    assert result.status == 0, result.text
    said: dict[str, Any] = terraform.outputs()["a"]
    return said


class TestNodes:
    async def test_all_that_prove_what_they_must_are_accepted(
        self, terraform: Terraform, tpms: tuple[Swtpm, ...]
    ) -> None:
        async with cluster(tpms) as ports:
            said = await verified(terraform, at(ports), acceptable())
            assert said["accepted"]
            assert said["summary"] == "accepted: 2 of 2 nodes proved what they must"
            assert [node["name"] for node in said["nodes"]] == list(NAMES)
            assert {node["hardware_root"] for node in said["nodes"]} == {"none"}
            assert any("no hardware root" in warning for warning in said["nodes"][0]["warnings"])
            assert any("the API server was not asked" in warning for warning in said["warnings"])
            assert not await asyncio.to_thread(terraform.differs)

    async def test_another_register_is_a_reason(self, terraform: Terraform, tpms: tuple[Swtpm, ...]) -> None:
        async with cluster(tpms) as ports:
            said = await verified(terraform, at(ports), acceptable(_11="00" * 32))
        assert not said["accepted"]
        reasons = [(reason["name"], reason["expected"]) for node in said["nodes"] for reason in node["mismatches"]]
        assert reasons == [("measurements.11", "00" * 32)] * 2

    async def test_a_register_that_only_warns_is_no_reason(self, terraform: Terraform, tpms: tuple[Swtpm, ...]) -> None:
        loose = acceptable(_11="00" * 32).replace(f'"{"00" * 32}"', f'"{"00" * 32}", "warn_only": true')
        async with cluster(tpms) as ports:
            said = await verified(terraform, at(ports), loose)
        assert said["accepted"]
        assert any("11" in warning for warning in said["nodes"][0]["warnings"])

    async def test_another_cluster_is_a_reason(self, terraform: Terraform, tpms: tuple[Swtpm, ...]) -> None:
        async with cluster(tpms) as ports:
            said = await verified(terraform, at(ports, OTHER_CLUSTER_ID), acceptable())
        assert [reason["name"] for node in said["nodes"] for reason in node["mismatches"]] == ["mark"] * 2

    async def test_one_that_does_not_answer_is_a_result(self, terraform: Terraform, tpms: tuple[Swtpm, ...]) -> None:
        async with cluster(tpms) as ports:
            said = await verified(terraform, at({**ports, "worker-1": 1}), acceptable())
        assert [node["accepted"] for node in said["nodes"]] == [True, True, False]
        assert said["nodes"][2]["failure"]
        assert said["nodes"][2]["variant"] is None


class TestWorkspace:
    async def test_it_says_everything(self, terraform: Terraform, tpms: tuple[Swtpm, ...], tmp_path: Path) -> None:
        """Its image is another one than what the nodes booted; an API server that does not answer is a reason too."""
        async with cluster(tpms) as ports:
            workspace = workspace_of_nodes(tmp_path, ports, CLUSTER_ID)
            said = await verified(terraform, f'workspace = "{workspace.folder}"')
        assert [reason["name"] for reason in said["mismatches"]] == ["members"]
        assert "measurements.4" in [reason["name"] for reason in said["nodes"][0]["mismatches"]]

    async def test_machines_that_are_gone_are_a_result(self, terraform: Terraform, tmp_path: Path) -> None:
        workspace = workspace_of_nodes(tmp_path, {}, CLUSTER_ID)
        said = await verified(terraform, f'workspace = "{workspace.folder}"')
        assert (said["accepted"], said["nodes"]) == (False, [])
        assert [reason["name"] for reason in said["mismatches"]] == ["machines", "members"]

    async def test_with_its_api_server_all_is_accepted(
        self, terraform: Terraform, tpms: tuple[Swtpm, ...], tmp_path: Path, known: ControlPlane
    ) -> None:
        async with cluster(tpms) as ports:
            first = await verified(terraform, at(ports), acceptable())
            for node in first["nodes"]:
                let_in(known.client(), node["name"], node["identity"])
            workspace = workspace_of_nodes(tmp_path, ports, CLUSTER_ID)
            workspace.kubeconfig.write_bytes(known.kubeconfig().read_bytes())
            said = await verified(terraform, f'workspace = "{workspace.folder}"', acceptable())
            assert (said["accepted"], said["mismatches"], said["warnings"]) == (True, [], [])

            let_in(known.client(), "worker-1", "ee" * 32)
            said = await verified(terraform, f'workspace = "{workspace.folder}"', acceptable())
        assert [reason["name"] for reason in said["mismatches"]] == ["nodes.worker-1"]


class TestCheck:
    CHECK = """
check "nodes" {
  data "constellation_verification" "c" {
    %s
  }
  assert {
    condition     = data.constellation_verification.c.accepted
    error_message = data.constellation_verification.c.summary
  }
}
"""

    async def test_a_plan_warns_of_what_is_not_accepted(self, terraform: Terraform, tpms: tuple[Swtpm, ...]) -> None:
        async with cluster(tpms) as ports:
            terraform.write(self.CHECK % f"{at({**ports, 'worker-1': 1})}\n{acceptable()}")
            result = await asyncio.to_thread(terraform.run, "plan")
        assert result.status == 0
        assert "Warning: Check block assertion failed" in result.text
        assert "NOT ACCEPTED: 2 of 3 nodes proved what they must" in result.text

    async def test_what_cannot_be_asked_at_all_is_a_warning_there_too(self, terraform: Terraform) -> None:
        terraform.write(self.CHECK % 'workspace = "/nowhere"')
        result = await asyncio.to_thread(terraform.run, "plan")
        assert result.status == 0
        assert "/nowhere: expected the workspace of a cluster" in result.text


class TestIdentities:
    def test_nodes_are_told(self, terraform: Terraform, known: ControlPlane) -> None:
        let_in(known.client(), "worker-0", "ab" * 32)
        terraform.write(
            f'data "constellation_node_identities" "a" {{\n  kubeconfig_path = "{known.kubeconfig()}"\n}}\n'
            'output "a" {\n  value = data.constellation_node_identities.a.nodes\n}'
        )
        result = terraform.apply()
        assert result.status == 0, result.text
        (node,) = terraform.outputs()["a"]
        assert (node["name"], node["identity"], node["role"]) == ("worker-0", "ab" * 32, "worker")
        assert not terraform.differs()

    @pytest.mark.parametrize("content", [None, "", "{}", "a: [", '{"clusters": []}'])
    def test_what_is_no_kubeconfig_is_told(self, terraform: Terraform, tmp_path: Path, content: str | None) -> None:
        if content is not None:
            (tmp_path / "admin.conf").write_text(content)
        terraform.write(f'data "constellation_node_identities" "a" {{\n  kubeconfig_path = "{tmp_path}/admin.conf"\n}}')
        text = terraform.run("plan").text
        assert "Error: The cluster does not say which nodes it has" in text
        assert "is no kubeconfig that can be used" in text
        assert "Traceback" not in text

    def test_a_cluster_that_does_not_answer_is_told(self, terraform: Terraform, tmp_path: Path) -> None:
        record = {
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        (tmp_path / "admin.conf").write_text(json.dumps(record))
        terraform.write(f'data "constellation_node_identities" "a" {{\n  kubeconfig_path = "{tmp_path}/admin.conf"\n}}')
        assert "the API server does not answer" in terraform.run("plan").text
