# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The SSH server of an image for emergencies gets a certificate of its cluster; other images have none of this."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from constellation_core.keys.derivation import SSH_AUTHORITY, derive
from constellation_core.ssh_authority import SshAuthority
from constellation_proto import init_pb2
from constellation_proto.init_grpc import InitStub
from node_agent.emergency_access import AUTHORITY, CERTIFICATE, FOLDER, HOST_KEY, EmergencyAccess
from node_agent.parts import ClusterPlan
from node_agent.phases import Phase
from node_agent.testing.machine import FakeMachine

from .conftest import INIT_SECRET_HASH, PEERS

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_core.keys.master_secret import MasterSecret
    from node_agent.testing.join_service import FakeJoinService
    from node_agent.testing.machine import Boot

Requests = Callable[..., init_pb2.InitRequest]


@pytest.fixture
def emergency(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path / "emergency", profile="emergency-access", init_secret_hash=INIT_SECRET_HASH)


def given(boot: Boot) -> Path:
    return boot.settings.run / FOLDER


def checked_by_openssh(folder: Path, master: MasterSecret, *names: str) -> None:
    """Certificate, host key and authority belong together, as OpenSSH sees them."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("the program ssh-keygen is not installed: apt-get install openssh-client")

    def ssh_keygen(*arguments: str) -> str:
        return subprocess.run(["ssh-keygen", *arguments], check=True, capture_output=True, text=True).stdout

    said = ssh_keygen("-L", "-f", str(folder / CERTIFICATE))
    public = ssh_keygen("-y", "-f", str(folder / HOST_KEY))
    (folder / "public").write_text(public)
    assert ssh_keygen("-l", "-f", str(folder / "public")).split()[1] in said
    assert ssh_keygen("-l", "-f", str(folder / AUTHORITY)).split()[1] in said
    assert all(name in said for name in ("host certificate", "Valid: forever", *names))
    authority = SshAuthority(derive(master.secret, master.salt, SSH_AUTHORITY))
    assert (folder / AUTHORITY).read_text() == f"{authority.public_key}\n"


async def test_the_first_node_certifies_itself(
    emergency: FakeMachine, init_request: Requests, master: MasterSecret
) -> None:
    async with emergency.booted() as boot:
        await boot.reached(Phase.WAITING)
        async with boot.administrator(boot.init_port) as channel:
            await InitStub(channel).Init(init_request())
        await boot.reached(Phase.SERVING)
        checked_by_openssh(given(boot), master, "control-0", "10.213.1.1")
        assert stat.S_IMODE((given(boot) / HOST_KEY).stat().st_mode) == 0o600
        assert isinstance(boot.kubernetes.plan, ClusterPlan)
        assert boot.kubernetes.plan.node.host_key.startswith("ssh-ed25519 ")


async def test_a_node_that_joins_is_certified_and_comes_back_with_the_same(
    emergency: FakeMachine, join_service: FakeJoinService, master: MasterSecret
) -> None:
    emergency.write_metadata(name="worker-0", role="worker", peers=PEERS)
    async with join_service.listening() as port:
        emergency.settings["join_port"] = port
        async with emergency.booted() as boot:
            await boot.reached(Phase.SERVING)
            checked_by_openssh(given(boot), master, "worker-0", "10.213.1.2")
            before = (given(boot) / CERTIFICATE).read_text()
        async with emergency.booted() as boot:
            await boot.reached(Phase.SERVING)
            assert (given(boot) / CERTIFICATE).read_text() == before
    assert join_service.tickets[0].host_key.startswith("ssh-ed25519 ")


async def test_nobody_comes_in_before_the_node_belongs_to_a_cluster(emergency: FakeMachine) -> None:
    async with emergency.booted() as boot:
        await boot.heard("is ready")
        assert not given(boot).exists()


async def test_a_cluster_that_certifies_nothing_lets_nobody_in(
    emergency: FakeMachine, join_service: FakeJoinService
) -> None:
    join_service.change = lambda ticket: ticket.ClearField("host_certificate")
    emergency.write_metadata(name="worker-0", role="worker", peers=PEERS)
    async with join_service.listening() as port:
        emergency.settings["join_port"] = port
        async with emergency.booted() as boot:
            await boot.reached(Phase.SERVING)
            assert not given(boot).exists()


async def test_other_images_have_none_of_it(machine: FakeMachine, cluster: FakeJoinService) -> None:
    async with machine.booted() as boot:
        await boot.reached(Phase.SERVING)
        assert not given(boot).exists()
        assert not (boot.settings.state / "constellation" / FOLDER).exists()
    assert cluster.tickets[0].host_key == ""


def test_a_host_key_is_made_once_and_shown_to_nobody(tmp_path: Path) -> None:
    access = EmergencyAccess(tmp_path / "kept", tmp_path / "given")
    assert access.host_key() == access.host_key()
    kept = tmp_path / "kept" / FOLDER
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert stat.S_IMODE((kept / HOST_KEY).stat().st_mode) == 0o600
    assert access.open() is False
