# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Machines, and administrators who know their secrets."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import bcrypt
import pytest

from constellation_core.keys.master_secret import MasterSecret
from node_agent import first_boot, joining, later_boot, loops
from node_agent import machine as machine_module
from node_agent.testing.init_request import fake_init_request
from node_agent.testing.join_service import FakeJoinService
from node_agent.testing.machine import FakeMachine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from constellation_proto import init_pb2

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
    return partial(fake_init_request, master, salt=SALT, secret=INIT_SECRET)
