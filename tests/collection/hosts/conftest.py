# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts for the tests of this folder: one that lives as long as they do, in a network with one neighbour."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.collection.hosts import bed
from tests.collection.hosts.neighbours import Neighbour, wired

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def _bed() -> None:
    try:
        bed.require()
    except bed.NoBedError as error:
        pytest.skip(str(error))
    if not bed.is_made():
        pytest.skip("the root of hosts is not made yet: the slow tests make it (tests/collection/hosts/test_bed.py)")


@pytest.fixture(scope="session")
def neighbour(_bed: None) -> Iterator[Neighbour]:
    """A network of two; the neighbour is no host, only a place to connect from and to."""
    try:
        with wired() as made:
            yield made
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr}")


@pytest.fixture(scope="session")
def hypervisor(neighbour: Neighbour, tmp_path_factory: pytest.TempPathFactory) -> Iterator[bed.Host]:
    """A host with a booted systemd. What a test changes, the next one finds: it undoes it, or does not care."""
    with ExitStack() as stack:
        try:
            network = f"--network-namespace-path={neighbour.host_namespace}"
            host = stack.enter_context(bed.booted("hypervisor-0", tmp_path_factory.mktemp("hosts"), network))
        except bed.NoBedError as error:
            pytest.skip(str(error))
        yield host


@pytest.fixture
def inventory(hypervisor: bed.Host, tmp_path: Path) -> Path:
    """An inventory with that host."""
    return bed.write_inventory([hypervisor], tmp_path / "inventory.json")
