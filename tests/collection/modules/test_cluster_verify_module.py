# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""All nodes prove what they booted, or the task fails with every reason: real TPMs of software, the real channel."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from constellation_core.strict_yaml import dump_yaml
from constellation_engine.testing.known_nodes import NAMES, workspace_of_nodes
from constellation_services.testing.verified_node import CLUSTER_ID, OTHER_CLUSTER_ID, POLICY, node_tpm, serving_node
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from attestation.testing.swtpm import Swtpm

MODULE = "cluster_verify"


@pytest.fixture(scope="module")
def tpms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Swtpm, ...]]:
    """One a node."""
    with ExitStack() as stack:
        yield tuple(stack.enter_context(node_tpm(tmp_path_factory.mktemp(name), CLUSTER_ID)) for name in NAMES)


@asynccontextmanager
async def cluster(tpms: tuple[Swtpm, ...]) -> AsyncIterator[dict[str, int]]:
    """Two nodes: name → port."""
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(serving_node(*one)) for one in zip(NAMES, tpms, strict=True)]
        yield {name: node.port for name, node in zip(NAMES, nodes, strict=True)}


@pytest.fixture
def policy(tmp_path: Path) -> str:
    """A file that says what such nodes booted."""
    file = tmp_path / "policy.yaml"
    file.write_text(dump_yaml(POLICY.to_mapping()))
    return str(file)


async def verify(ports: dict[str, int], **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - options
    endpoints = [f"{name}=127.0.0.1:{port}" for name, port in ports.items()]
    given = {"endpoints": endpoints, "cluster_id": CLUSTER_ID.hex(), **arguments}
    return await asyncio.to_thread(run_module, MODULE, **given)


async def test_all_that_prove_what_they_must_are_accepted(tpms: tuple[Swtpm, ...], policy: str) -> None:
    async with cluster(tpms) as ports:
        said = await verify(ports, policies=[policy])
    assert (said["changed"], said["accepted"], said["reasons"]) == (False, True, [])
    assert said["summary"] == "accepted: 2 of 2 nodes proved what they must"
    assert any("no hardware root" in warning for warning in said["warnings_of_verdict"])


async def test_another_cluster_is_refused_with_every_reason(tpms: tuple[Swtpm, ...], policy: str) -> None:
    async with cluster(tpms) as ports:
        said = await verify({**ports, "worker-1": 1}, policies=[policy], cluster_id=OTHER_CLUSTER_ID.hex())
    assert said["failed"]
    assert not said["accepted"]
    assert len([reason for reason in said["reasons"] if "mark" in reason]) == 2
    assert all(f"{name}: " in said["msg"] for name in (*NAMES, "worker-1"))
    assert said["verdict"]["nodes"][2]["failure"]


async def test_a_workspace_says_everything(tpms: tuple[Swtpm, ...], tmp_path: Path, policy: str) -> None:
    """An API server that does not answer is a reason: nobody says whether these are all nodes."""
    async with cluster(tpms) as ports:
        folder = str(workspace_of_nodes(tmp_path, ports, CLUSTER_ID).folder)
        said = await asyncio.to_thread(run_module, MODULE, workspace=folder, policies=[policy])
        usual = await asyncio.to_thread(run_module, MODULE, workspace=folder)
    assert [node["accepted"] for node in said["verdict"]["nodes"]] == [True, True]
    assert [one["name"] for one in said["verdict"]["mismatches"]] == ["members"]
    assert "measurements.4" in usual["msg"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({}, "one of the following is required: workspace, kubeconfig, endpoints"),
        ({"workspace": "x", "kubeconfig": "y"}, "mutually exclusive"),
        ({"workspace": "/nowhere"}, "expected the workspace of a cluster"),
        ({"kubeconfig": "/nowhere"}, "Option policies: expected what is acceptable, or images"),
        ({"endpoints": ["node"]}, "Option policies: expected what is acceptable, or images"),
        ({"endpoints": ["node"], "images": ["./nowhere"]}, "nowhere"),
        ({"endpoints": ["node"], "policies": ["/nowhere"]}, "Option policies: expected files that can be read"),
        ({"endpoints": ["a=b=c"], "policies": ["{policy}"]}, "Option endpoints: expected [NAME=]HOST[:PORT]"),
        ({"endpoints": ["node"], "cluster_id": "ab"}, "Option cluster_id: expected 64 digits"),
        ({"endpoints": ["node"], "timeout": 0}, "Option timeout: expected at least one second"),
    ],
)
def test_what_is_wrong_is_named(arguments: dict[str, Any], said: str, policy: str) -> None:
    files = {"policies": [policy]} if arguments.get("policies") == ["{policy}"] else {}
    answer = run_module(MODULE, **arguments | files)
    assert answer["failed"]
    assert said.lower() in answer["msg"].lower()
