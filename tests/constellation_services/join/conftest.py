# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures: machines with real TPMs, and clusters that they join (`world.py`)."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

import pytest

from attestation.issuer import open_issuer
from attestation.testing.swtpm import running_swtpm
from attestation.variant import Variant
from node_agent import joining
from tests.constellation_services.join.world import Cluster, Furnished, Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from constellation_engine.testing.control_plane import ControlPlane


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Machine]]:
    """Gives the machine of a name: the same in all tests, each with a real TPM."""
    if shutil.which("swtpm") is None:
        pytest.skip("the program swtpm is not installed: apt-get install swtpm swtpm-tools")
    with ExitStack() as stack:

        @cache
        def start(name: str) -> Machine:
            folder = tmp_path_factory.mktemp(name)
            running = stack.enter_context(running_swtpm(folder, transport="unix", endorsed=False))
            return Machine(stack.enter_context(open_issuer(Variant.QEMU_VTPM, tpm=running.address)))

        yield start


@pytest.fixture(autouse=True)
def impatient_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes of tests try again soon."""
    monkeypatch.setattr(joining, "FIRST_PAUSE", 0.02)


@pytest.fixture(scope="module")
def furnished(control_plane: ControlPlane) -> Furnished:
    """An API server with all that is ours."""
    return Furnished.of(control_plane)


@pytest.fixture
def empty_cluster(furnished: Furnished, machine: Callable[[str], Machine], tmp_path: Path) -> Cluster:
    """A cluster with facts and join-config, and without a service."""
    return Cluster(furnished, tmp_path, machine)


@pytest.fixture
async def cluster(empty_cluster: Cluster) -> AsyncIterator[Cluster]:
    """A cluster with one instance of the service."""
    async with empty_cluster.service():
        yield empty_cluster
