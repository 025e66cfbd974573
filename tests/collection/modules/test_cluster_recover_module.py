# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Stopped control planes come back: the real agent with a real TPM, over the real channel."""

from __future__ import annotations

import asyncio
import stat
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from constellation_core.keys.master_secret import MasterSecret
from constellation_core.strict_yaml import dump_yaml
from constellation_engine.local_cluster import ClusterSpec, Workspace
from constellation_engine.testing.known_nodes import workspace_of_nodes
from constellation_engine.testing.node_images import FakeImage
from constellation_proto.init_grpc import InitStub
from node_agent import later_boot, loops
from node_agent.phases import Phase
from node_agent.testing.init_request import fake_init_request
from node_agent.testing.machine import MEASUREMENTS, FakeMachine
from node_agent.testing.parts import KUBECONFIG
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path

INIT_SECRET = b"an init secret"
MODULE = "cluster_recover"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for longer than a test has time."""
    for module, name, seconds in (
        (later_boot, "PAUSE", 0.05),
        (later_boot, "GRACE", 0.5),
        (loops, "FIRST_PAUSE", 0.01),
    ):
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """What an administrator has."""
    MasterSecret.random().create(tmp_path / "master-secret.json")
    policy = dump_yaml({"variant": "qemu-vtpm", "measurements": MEASUREMENTS})
    (tmp_path / "policy.yaml").write_text(policy)
    return {"master_secret": str(tmp_path / "master-secret.json"), "policies": [str(tmp_path / "policy.yaml")]}


@pytest.fixture
async def machine(tmp_path: Path, files: dict[str, Any]) -> FakeMachine:
    """A control plane that was initialised, and is switched off."""
    hashed = bcrypt.hashpw(INIT_SECRET, bcrypt.gensalt(4)).decode()
    made = FakeMachine(tmp_path / "control-0", name="control-0", init_secret_hash=hashed)
    master = MasterSecret.load(tmp_path / "master-secret.json")
    async with made.booted() as boot:
        await boot.reached(Phase.WAITING)
        async with boot.administrator(boot.init_port) as channel:
            await InitStub(channel).Init(fake_init_request(master, salt=bytes(32), secret=INIT_SECRET))
        await boot.reached(Phase.SERVING)
    assert files
    return made


async def test_a_control_plane_comes_back(machine: FakeMachine, files: dict[str, Any], tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    async with machine.booted() as boot:
        await boot.reached(Phase.LOCKED)
        given = {**files, "endpoints": [f"control-0=127.0.0.1:{boot.recover_port}"], "kubeconfig": str(kubeconfig)}
        predicted = await asyncio.to_thread(run_module, MODULE, check=True, **given)
        assert boot.phases[-1] == Phase.LOCKED
        said = await asyncio.to_thread(run_module, MODULE, **given)
        await boot.reached(Phase.SERVING)
    assert (said["changed"], [node["outcome"] for node in said["nodes"]]) == (True, ["back"])
    assert (predicted["changed"], predicted["diff"]) == (True, said["diff"])
    assert (kubeconfig.read_bytes(), stat.S_IMODE(kubeconfig.stat().st_mode)) == (KUBECONFIG, 0o600)
    assert KUBECONFIG.decode() not in str(said)


async def test_another_secret_is_refused_and_the_node_waits_on(
    machine: FakeMachine, files: dict[str, Any], tmp_path: Path
) -> None:
    MasterSecret.random().create(tmp_path / "other.json")
    async with machine.booted() as boot:
        await boot.reached(Phase.LOCKED)
        given = {
            **files,
            "endpoints": [f"127.0.0.1:{boot.recover_port}"],
            "master_secret": str(tmp_path / "other.json"),
        }
        said = await asyncio.to_thread(run_module, MODULE, **given)
        assert boot.phases[-1] == Phase.LOCKED
    assert said["failed"]
    assert "0 of 1 control planes are back" in said["msg"]
    assert "is this the secret of this cluster?" in said["hint"]


def test_machines_that_are_off_would_be_switched_on(tmp_path: Path) -> None:
    workspace = workspace_of_nodes(tmp_path, {"control-plane-0": 1}, bytes(32))
    said = run_module(MODULE, workspace=str(workspace.folder), check=True, images=[str(tmp_path / "image")])
    assert (said["changed"], said["switched_on"]) == (True, ["control-plane-0"])
    assert said["diff"] == {"before": "control-plane-0: off\n", "after": "control-plane-0: on\n"}


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A workspace without a cluster."""
    image = FakeImage().write(tmp_path / "image")
    return str(Workspace.create(tmp_path / "mini", ClusterSpec(image=image.path)).folder)


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({}, "one of the following is required: workspace, endpoints"),
        ({"workspace": "x", "endpoints": ["y"]}, "mutually exclusive"),
        ({"workspace": "x", "kubeconfig": "y"}, "mutually exclusive"),
        ({"workspace": "/nowhere"}, "expected the workspace of a cluster"),
        ({"workspace": "{place}"}, "Option workspace: expected a cluster that was up once"),
        ({"endpoints": ["x"]}, "Option policies: expected what is acceptable, or images"),
        ({"endpoints": ["x"], "policies": None}, "Option policies"),
        ({"endpoints": ["x"], "master_secret": None}, "Option master_secret: expected a file"),
        ({"endpoints": ["x"], "master_secret": "/nowhere"}, "/nowhere"),
        ({"endpoints": ["x"], "recovery_secret": "/nowhere"}, "/nowhere"),
        ({"endpoints": ["a=b=c"], "timeout": 9}, "Option endpoints: expected [NAME=]HOST[:PORT] of each control plane"),
        ({"endpoints": ["x"], "timeout": -1}, "Option timeout: expected at least one second"),
    ],
)
def test_what_is_wrong_is_named(arguments: dict[str, Any], said: str, place: str, files: dict[str, Any]) -> None:
    whole = len(arguments) > 1 and "workspace" not in arguments
    given = {**(files if whole else {}), **arguments}
    asked: dict[str, Any] = {name: place if value == "{place}" else value for name, value in given.items() if value}
    answer = run_module(MODULE, **asked)
    assert answer["failed"]
    assert said in answer["msg"]
