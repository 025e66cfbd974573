# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The services as processes, once for all tests here, and machines that join."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from constellation_services.testing.verified_node import node_tpm
from node_agent import joining
from tests.constellation_services.join.world import Furnished
from tests.end_to_end.processes import Node, ServiceProcess, ThreeServices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_engine.testing.control_plane import ControlPlane

NewNode = Callable[[str], Node]


@pytest.fixture(autouse=True)
def impatient_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes of tests try again soon."""
    monkeypatch.setattr(joining, "FIRST_PAUSE", 0.02)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewNode]:
    """Makes a machine that has just booted our image."""
    if shutil.which("swtpm") is None:
        pytest.skip("the program swtpm is not installed (Debian: swtpm)")
    with ExitStack() as stack:
        yield lambda name: Node(name, stack.enter_context(node_tpm(tmp_path_factory.mktemp(name))))


@pytest.fixture(scope="module")
def world(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> ThreeServices:
    """A cluster before its services run."""
    Furnished.of(control_plane)
    return ThreeServices(control_plane, tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def keys(world: ThreeServices) -> Iterator[ServiceProcess]:
    """The key service."""
    with world.running_keys() as process:
        yield process


@pytest.fixture(scope="module")
def join(world: ThreeServices, keys: ServiceProcess, node: NewNode) -> Iterator[ServiceProcess]:
    """The join service."""
    with world.running_join(node("control-plane-0").tpm, keys) as process:
        yield process
