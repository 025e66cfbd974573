# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation recover`: the real program, over the real channel, to the real recovery server of a stopped node."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import bcrypt
import pytest
import yaml

from constellation_core.keys.master_secret import MasterSecret
from constellation_engine.local_cluster.workspace import ClusterSpec, Workspace
from constellation_engine.machines import Forward, MachineSpec
from constellation_engine.machines.spec_file import to_json
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.testing.node_images import FakeImage
from constellation_proto.init_grpc import InitStub
from node_agent import later_boot
from node_agent.phases import Phase
from node_agent.testing import parts
from node_agent.testing.init_request import fake_init_request
from node_agent.testing.machine import MEASUREMENTS, FakeMachine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from .conftest import Finished

    Run = Callable[..., Awaitable[Finished]]

INIT_SECRET = b"an init secret"
KUBECONFIG = yaml.safe_dump(
    {"clusters": [{"name": "mini", "cluster": {"server": "https://10.99.0.11:6443"}}], "users": []}
).encode()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """The workspace of the cluster, whose first machine is switched off."""
    image = FakeImage().write(tmp_path / "image")
    workspace = Workspace.create(tmp_path / "mini", ClusterSpec(image=image.path, workers=0))
    place = workspace.machines / "control-plane-0"
    place.mkdir(parents=True)
    forwards = (Forward("api-server", 6443, 20001), Forward("recover", 9999, 20002))
    spec = MachineSpec(image=image.place(ImageFile.DISK), forwards=forwards)
    (place / "spec.json").write_text(to_json(spec.settled({})))
    return workspace


@pytest.fixture
def policy(policy_file: Callable[..., Path]) -> Path:
    return policy_file(variant="qemu-vtpm", measurements=MEASUREMENTS)


@pytest.fixture
async def node(tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """A control plane of the cluster that was initialised, and lost its power."""
    monkeypatch.setattr(later_boot, "GRACE", 0.5)
    monkeypatch.setattr(parts, "KUBECONFIG", KUBECONFIG)
    hashed = bcrypt.hashpw(INIT_SECRET, bcrypt.gensalt(4)).decode()
    machine = FakeMachine(tmp_path / "node", name="control-plane-0", init_secret_hash=hashed)
    async with machine.booted() as boot:
        await boot.reached(Phase.WAITING)
        async with boot.administrator(boot.init_port) as channel:
            await InitStub(channel).Init(
                fake_init_request(workspace.master_secret(), salt=workspace.state.measurement_salt, secret=INIT_SECRET)
            )
        await boot.reached(Phase.SERVING)
    return machine


async def test_a_control_plane_comes_back_and_its_kubeconfig_is_kept(
    program: Run, node: FakeMachine, workspace: Workspace, policy: Path
) -> None:
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        place = f"control-plane-0=127.0.0.1:{boot.recover_port}"
        words = ("--workspace", workspace.folder, "--policy", policy, "--endpoint", place)
        done = await program("recover", *words, "-o", "json")
        await boot.reached(Phase.SERVING)
        cluster_id = (boot.settings.run / "cluster-id").read_text().strip()
    record = json.loads(done.stdout)
    assert (done.status, record["complete"], record["nodes"][0]["outcome"]) == (0, True, "back")
    assert "next: constellation status" in done.stderr
    assert workspace.kubeconfig.stat().st_mode & 0o777 == 0o600
    server = yaml.safe_load(workspace.kubeconfig.read_bytes())["clusters"][0]["cluster"]["server"]
    assert server == "https://127.0.0.1:20001"
    assert Workspace.open(workspace.folder).state.cluster_id.hex() == cluster_id


async def test_a_wrong_secret_is_status_2_and_the_node_waits_on(
    program: Run, node: FakeMachine, workspace: Workspace, policy: Path, tmp_path: Path
) -> None:
    MasterSecret.random().create(tmp_path / "another.json")
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        place = f"127.0.0.1:{boot.recover_port}"
        words = ("--policy", policy, "--endpoint", place)
        done = await program("recover", *words, "--master-secret", tmp_path / "another.json")
        assert done.status == 2
        assert "the key does not open the state disk" in done.stderr
        assert "the node waits on" in done.stderr
        assert boot.phases[-1] == Phase.LOCKED
        mine, saved = workspace.folder / "master-secret.json", tmp_path / "admin.conf"
        again = await program("recover", *words, "--master-secret", mine, "--save-kubeconfig", saved)
        assert again.status == 0
        await boot.reached(Phase.SERVING)
    assert (saved.read_bytes(), saved.stat().st_mode & 0o777) == (KUBECONFIG, 0o600)


async def test_a_machine_of_another_image_is_status_2_and_is_named(
    program: Run, node: FakeMachine, workspace: Workspace
) -> None:
    """The image of the workspace is not the one that this machine booted."""
    async with node.booted() as boot:
        await boot.reached(Phase.LOCKED)
        place = f"127.0.0.1:{boot.recover_port}"
        done = await program("recover", "--workspace", workspace.folder, "--endpoint", place)
    assert done.status == 2
    assert "measurements.4" in done.stderr
    assert "disk.open" not in node.moments.seen[-3:]


async def test_nobody_who_answers_is_status_1(program: Run, workspace: Workspace, policy: Path) -> None:
    words = ("--policy", policy, "--endpoint", "127.0.0.1:1", "--timeout", "1")
    done = await program("recover", "--workspace", workspace.folder, *words)
    assert done.status == 1
    assert "0 of 1 control planes are back" in done.stderr


async def test_machines_that_are_switched_off_are_said_to_be(program: Run, workspace: Workspace, policy: Path) -> None:
    done = await program("recover", "--workspace", workspace.folder, "--policy", policy)
    assert done.status == 1
    assert "all 1 are switched off" in done.stderr
    assert "constellation mini up" in done.stderr


async def test_without_a_master_secret_the_command_line_is_wrong(program: Run, policy: Path) -> None:
    done = await program("recover", "--policy", policy, "--endpoint", "127.0.0.1:1")
    assert (done.status, "--master-secret FILE" in done.stderr) == (64, True)


async def test_a_master_secret_that_others_may_read_is_refused(program: Run, policy: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    MasterSecret.random().create(secret)
    secret.chmod(0o644)
    done = await program(
        "recover", "--policy", policy, "--endpoint", "127.0.0.1:1", "--master-secret", secret, "--timeout", "1"
    )
    assert done.status == 1
    assert "0600" in done.stderr
