# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation verify`: all nodes, real TPMs of software, the real channel; it fails closed."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from constellation_engine.testing.kinds import serve_our_kinds
from constellation_engine.testing.known_nodes import let_in, workspace_of_nodes
from constellation_services.testing.verified_node import CLUSTER_ID, OTHER_CLUSTER_ID, POLICY, node_tpm, serving_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from attestation.testing.swtpm import Swtpm
    from constellation_engine.testing.control_plane import ControlPlane

    from .conftest import Finished

    Run = Callable[..., Awaitable[Finished]]

ID: Final = ("--cluster-id", CLUSTER_ID.hex())
NAMES: Final = ("control-plane-0", "worker-0")


@pytest.fixture(scope="module")
def tpms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Swtpm, ...]]:
    """TPMs of two nodes of the cluster."""
    folders = [tmp_path_factory.mktemp("tpm") for _ in NAMES]
    with node_tpm(folders[0], CLUSTER_ID) as one, node_tpm(folders[1], CLUSTER_ID) as other:
        yield one, other


@pytest.fixture
def policy(policy_file: Callable[..., Path]) -> Path:
    return policy_file(**POLICY.to_mapping())


@asynccontextmanager
async def cluster(tpms: tuple[Swtpm, ...]) -> AsyncIterator[dict[str, int]]:
    """Two nodes: name → port."""
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(serving_node(*one)) for one in zip(NAMES, tpms, strict=True)]
        yield {name: node.port for name, node in zip(NAMES, nodes, strict=True)}


def places(ports: dict[str, int]) -> list[str]:
    """Name nodes on the command line."""
    return [word for name, port in ports.items() for word in ("--endpoint", f"{name}=127.0.0.1:{port}")]


async def test_all_nodes_are_accepted(program: Run, tpms: tuple[Swtpm, ...], policy: Path) -> None:
    async with cluster(tpms) as ports:
        done = await program("verify", "--policy", policy, *ID, *places(ports), "-o", "json")
    record = json.loads(done.stdout)
    assert (done.status, record["accepted"]) == (0, True)
    assert [node["node"] for node in record["nodes"]] == list(NAMES)


async def test_a_missing_hardware_root_is_a_warning_once(program: Run, tpms: tuple[Swtpm, ...], policy: Path) -> None:
    async with cluster(tpms) as ports:
        done = await program("verify", "--policy", policy, *ID, *places(ports))
    assert "accepted: 2 of 2 nodes proved what they must" in done.stdout
    assert done.stderr.count("warning: no hardware root") == 1
    assert "(control-plane-0, worker-0)" in done.stderr


async def test_one_register_of_the_policy_changed_refuses_both_and_names_it(
    program: Run, tpms: tuple[Swtpm, ...], policy_file: Callable[..., Path]
) -> None:
    record = POLICY.to_mapping()
    record["measurements"]["11"]["expected"] = "00" * 32
    async with cluster(tpms) as ports:
        done = await program("verify", "--policy", policy_file(**record), *ID, *places(ports))
    assert done.status == 2
    reasons = [line.split()[:3] for line in done.stdout.partition("reasons\n")[2].splitlines()[1:]]
    assert reasons == [[name, "measurements.11", "00" * 32] for name in NAMES]


async def test_another_cluster_is_not_accepted(program: Run, tpms: tuple[Swtpm, ...], policy: Path) -> None:
    async with cluster(tpms) as ports:
        done = await program(
            "verify", "--policy", policy, "--cluster-id", OTHER_CLUSTER_ID.hex(), *places(ports), "-o", "json"
        )
    assert done.status == 2
    assert [reason["name"] for node in json.loads(done.stdout)["nodes"] for reason in node["mismatches"]] == [
        "mark"
    ] * 2


async def test_a_node_that_does_not_answer_is_a_no(program: Run, tpms: tuple[Swtpm, ...], policy: Path) -> None:
    async with cluster(tpms) as ports:
        endpoints = [*places(ports), "--endpoint", "worker-1=127.0.0.1:1"]
        done = await program("verify", "--policy", policy, *ID, *endpoints)
    assert done.status == 2
    assert "NOT ACCEPTED: 2 of 3 nodes" in done.stdout
    assert "NO ANSWER" in done.stdout


async def test_without_a_cluster_id_the_verdict_warns(program: Run, tpms: tuple[Swtpm, ...], policy: Path) -> None:
    async with cluster(tpms) as ports:
        done = await program("verify", "--policy", policy, *places(ports))
    assert done.status == 0
    assert "warning: no cluster ID was given" in done.stderr
    assert "warning: the API server was not asked" in done.stderr


async def test_raw_evidence_is_judged_again(
    program: Run, tpms: tuple[Swtpm, ...], policy: Path, tmp_path: Path
) -> None:
    async with cluster(tpms) as ports:
        await program("verify", "--policy", policy, *ID, *places(ports), "--raw", tmp_path / "raw")
    index: dict[str, Any] = json.loads((tmp_path / "raw" / "nodes.json").read_text())
    assert [node["file"] for node in index["nodes"]] == [f"{name}.evidence.json" for name in NAMES]
    for node in index["nodes"]:
        file = tmp_path / "raw" / node["file"]
        again = await program("evidence", "verify", "--policy", policy, *ID, "--nonce", node["nonce"], file)
        assert again.status == 0
        assert "freshness" not in again.stdout


async def test_a_workspace_says_everything(program: Run, tpms: tuple[Swtpm, ...], policy: Path, tmp_path: Path) -> None:
    """Its image is another one than what the nodes booted; a policy that is named takes its place."""
    async with cluster(tpms) as ports:
        folder = workspace_of_nodes(tmp_path, ports, CLUSTER_ID).folder
        done = await program("verify", "--workspace", folder, *places(ports))
        assert done.status == 2
        assert "measurements.4" in done.stdout
        assert (await program("verify", "--workspace", folder, *places(ports), "--policy", policy)).status == 0


async def test_without_the_list_of_nodes_nothing_is_accepted(
    program: Run, tpms: tuple[Swtpm, ...], policy: Path, tmp_path: Path
) -> None:
    async with cluster(tpms) as ports:
        folder = workspace_of_nodes(tmp_path, ports, CLUSTER_ID).folder
        done = await program("verify", "--workspace", folder, "--policy", policy)
    assert (done.status, done.stdout) == (1, "")
    assert "nobody says which nodes there are" in done.stderr
    assert "--endpoint" in done.stderr


@pytest.fixture
def known(clean_cluster: ControlPlane) -> ControlPlane:
    """A cluster that knows two nodes, and who joined under their names."""
    serve_our_kinds(clean_cluster.client())
    return clean_cluster


async def test_the_list_of_the_api_server_is_compared(
    program: Run, tpms: tuple[Swtpm, ...], policy: Path, known: ControlPlane, tmp_path: Path
) -> None:
    async with cluster(tpms) as ports:
        first = await program("verify", "--policy", policy, *ID, *places(ports), "-o", "json")
        for node in json.loads(first.stdout)["nodes"]:
            let_in(known.client(), node["node"], node["statement"]["identity"])
        workspace = workspace_of_nodes(tmp_path, ports, CLUSTER_ID)
        workspace.kubeconfig.write_bytes(known.kubeconfig().read_bytes())
        done = await program("verify", "--workspace", workspace.folder, "--policy", policy)
        assert (done.status, "the API server was not asked" in done.stderr) == (0, False)

        let_in(known.client(), "worker-1", "ee" * 32)
        done = await program("verify", "--workspace", workspace.folder, "--policy", policy)
    assert done.status == 2
    assert "nodes.worker-1" in done.stdout


async def test_a_node_that_only_the_api_server_knows_is_asked_and_not_reached(
    program: Run, policy: Path, known: ControlPlane
) -> None:
    let_in(known.client(), "worker-1", "ee" * 32)
    kubeconfig = known.kubeconfig()
    done = await program("verify", "--policy", policy, *ID, "--kubeconfig", kubeconfig, "--timeout", "30")
    assert done.status == 2
    assert "127.0.0.1:30081" in done.stdout


async def test_a_cluster_without_nodes_is_not_accepted(program: Run, policy: Path, known: ControlPlane) -> None:
    done = await program("verify", "--policy", policy, *ID, "--kubeconfig", known.kubeconfig())
    assert done.status == 2


async def test_nothing_to_judge_by_is_a_wrong_command_line(program: Run) -> None:
    done = await program("verify", "--endpoint", "127.0.0.1:1")
    assert (done.status, done.stdout) == (64, "")
    assert "--policy FILE" in done.stderr


async def test_a_node_that_is_none_is_a_wrong_command_line(program: Run, policy: Path) -> None:
    done = await program("verify", "--policy", policy, "--endpoint", "a b")
    assert (done.status, "[NAME=]HOST[:PORT]" in done.stderr) == (64, True)
