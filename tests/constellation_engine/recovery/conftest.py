# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Control planes that were initialised and lost their power: the real agent with a real TPM, its parts are fakes."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import bcrypt
import pytest

from attestation.policy import Policy
from constellation_core.join_config import JoinConfig
from constellation_core.keys.key_material import KeyMaterial
from constellation_core.keys.master_secret import MasterSecret
from constellation_engine.cluster import recovery
from constellation_engine.cluster.recovery import RecoveryOrder
from constellation_proto import init_pb2, join_pb2
from constellation_proto.init_grpc import InitStub
from node_agent import later_boot, loops
from node_agent.phases import Phase
from node_agent.testing.machine import COMPONENTS, KUBERNETES, MEASUREMENTS, FakeMachine

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
                await InitStub(channel).Init(_init_request(master))
            await boot.reached(Phase.SERVING)
        return machine

    return make


@pytest.fixture
async def machine(control_plane: Callable[[str], Awaitable[FakeMachine]]) -> FakeMachine:
    return await control_plane("control-0")


def _init_request(master: MasterSecret) -> init_pb2.InitRequest:
    policy = Policy.from_mapping({"variant": "qemu-vtpm", "measurements": MEASUREMENTS})
    return init_pb2.InitRequest(
        request_id=str(uuid.uuid4()),
        init_secret=INIT_SECRET,
        key_material=KeyMaterial.of(master).to_message(),
        measurement_salt=SALT,
        cluster_name="mini",
        kubernetes_version=KUBERNETES,
        components=[join_pb2.Component(**component) for component in COMPONENTS],
        endpoint="127.0.0.1:6443",
        certificate_sans=["127.0.0.1"],
        service_cidr="10.96.0.0/16",
        pod_cidr="10.244.0.0/16",
        join_config=JoinConfig(explicit=(policy,)).to_yaml(),
    )
