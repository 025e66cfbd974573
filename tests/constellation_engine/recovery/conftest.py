# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Control planes that were initialised and lost their power: the real agent with a real TPM, its parts are fakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bcrypt
import pytest

from attestation.policy import Policy
from constellation_core.keys.key_material import KeyMaterial
from constellation_core.keys.master_secret import MasterSecret
from constellation_engine.cluster import recovery
from constellation_engine.cluster.recovery import RecoveryOrder
from constellation_proto.init_grpc import InitStub
from node_agent import later_boot, loops
from node_agent.phases import Phase
from node_agent.testing.init_request import fake_init_request
from node_agent.testing.machine import MEASUREMENTS, FakeMachine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

SALT = bytes(range(32))
INIT_SECRET = b"an init secret"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for longer than a test has time."""
    for module, name, seconds in (
        (later_boot, "PAUSE", 0.05),
        (later_boot, "GRACE", 0.5),
        (loops, "FIRST_PAUSE", 0.01),
        (recovery, "PAUSE", 0.02),
    ):
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture(scope="session")
def master() -> MasterSecret:
    return MasterSecret.random()


@pytest.fixture
def order(master: MasterSecret) -> RecoveryOrder:
    """What an administrator of the cluster gives to its nodes."""
    policy = Policy.from_mapping({"variant": "qemu-vtpm", "measurements": MEASUREMENTS})
    return RecoveryOrder(policies=[policy], key_material=KeyMaterial.of(master), cluster_id=master.cluster_id(SALT))


@pytest.fixture
def control_plane(tmp_path: Path, master: MasterSecret) -> Callable[[str], Awaitable[FakeMachine]]:
    """Makes a control plane that was initialised, and is switched off."""

    async def make(name: str = "control-0") -> FakeMachine:
        hashed = bcrypt.hashpw(INIT_SECRET, bcrypt.gensalt(4)).decode()
        machine = FakeMachine(tmp_path / name, name=name, init_secret_hash=hashed)
        async with machine.booted() as boot:
            await boot.reached(Phase.WAITING)
            async with boot.administrator(boot.init_port) as channel:
                await InitStub(channel).Init(fake_init_request(master, salt=SALT, secret=INIT_SECRET))
            await boot.reached(Phase.SERVING)
        return machine

    return make


@pytest.fixture
async def machine(control_plane: Callable[[str], Awaitable[FakeMachine]]) -> FakeMachine:
    return await control_plane("control-0")
