# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Machines, and administrators who know their secrets."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from attestation.policy import Policy
from constellation_core.join_config import JoinConfig
from constellation_core.keys.key_material import KeyMaterial
from constellation_core.keys.master_secret import MasterSecret
from constellation_proto import init_pb2, join_pb2
from node_agent import first_boot, joining, later_boot, loops
from node_agent import machine as machine_module
from node_agent.testing.join_service import FakeJoinService
from node_agent.testing.machine import COMPONENTS, KUBERNETES, MEASUREMENTS, FakeMachine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

PEERS = [{"name": "control-9", "role": "control-plane", "addresses": ["127.0.0.1"]}]
INIT_SECRET = b"correct horse battery staple"
SALT = bytes(range(32))
INIT_SECRET_HASH = bcrypt.hashpw(INIT_SECRET, bcrypt.gensalt(4)).decode()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for longer than a test has time."""
    for module, name, seconds in (
        (joining, "FIRST_PAUSE", 0.01),
        (first_boot, "PAUSE", 0.05),
        (first_boot, "REFUSED", 0.05),
        (first_boot, "GRACE", 0.5),
        (later_boot, "PAUSE", 0.05),
        (later_boot, "REFUSED", 0.05),
        (later_boot, "GRACE", 0.5),
        (loops, "FIRST_PAUSE", 0.01),
        (machine_module, "PATIENCE", 20.0),
    ):
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path / "machine", init_secret_hash=INIT_SECRET_HASH)


@pytest.fixture(scope="session")
def master() -> MasterSecret:
    return MasterSecret.random()


@pytest.fixture
def join_service(master: MasterSecret) -> FakeJoinService:
    return FakeJoinService(master, SALT)


@pytest.fixture
async def cluster(join_service: FakeJoinService, machine: FakeMachine) -> AsyncIterator[FakeJoinService]:
    """A cluster that the machine finds in its metadata."""
    async with join_service.listening() as port:
        machine.settings["join_port"] = port
        machine.write_metadata(peers=PEERS)
        yield join_service


@pytest.fixture
def init_request(master: MasterSecret) -> Callable[..., init_pb2.InitRequest]:
    def make(**changes: Any) -> init_pb2.InitRequest:  # noqa: ANN401 - as the message says
        policy = Policy.from_mapping({"variant": "qemu-vtpm", "measurements": MEASUREMENTS})
        fields: dict[str, Any] = {
            "request_id": str(uuid.uuid4()),
            "init_secret": INIT_SECRET,
            "key_material": KeyMaterial.of(master).to_message(),
            "measurement_salt": SALT,
            "cluster_name": "mini",
            "kubernetes_version": KUBERNETES,
            "components": [join_pb2.Component(**component) for component in COMPONENTS],
            "endpoint": "127.0.0.1:6443",
            "certificate_sans": ["localhost", "127.0.0.1"],
            "service_cidr": "10.96.0.0/16",
            "pod_cidr": "10.244.0.0/16",
            "join_config": JoinConfig(explicit=(policy,)).to_yaml(),
        }
        return init_pb2.InitRequest(**(fields | changes))

    return make
