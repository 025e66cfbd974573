# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The cluster's store or its API server is gone for a while: nodes wait, then all get tickets, and nothing is lost."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from constellation_core.cluster_objects import NodeIdentityObject
from constellation_core.conditions import wait_for_async
from constellation_core.testing.watching import until
from constellation_engine.testing.control_plane import running_control_plane
from tests.constellation_services.join.world import Cluster, Furnished, name_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.constellation_services.join.world import Machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

OUTAGE = 30.0  # seconds
NODES = 6


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    """A control plane of our own: what is broken here disturbs nobody."""
    with running_control_plane(tmp_path_factory.mktemp("fragile")) as running:
        yield Furnished.of(running)


@pytest.fixture
async def breakable(fragile: Furnished, machine: Callable[[str], Machine], tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster whose programs can be stopped, with a service."""
    cluster = Cluster(fragile, tmp_path, machine)
    async with cluster.service():
        yield cluster


async def ask_all_the_time(cluster: Cluster, outage: asyncio.Event) -> None:
    """Have nodes join before, while and after something is gone; all of them get there."""
    disks = {f"worker-{number}": str(uuid.uuid4()) for number in range(NODES)}
    machine = cluster.machine("b")
    first = await cluster.ticket(machine, "worker-0", disk=disks["worker-0"])
    outage.set()
    tickets = await asyncio.gather(
        *(cluster.ticket(machine, name, disk=disk, timeout=180) for name, disk in disks.items())
    )
    assert tickets[0].mesh_address == first.mesh_address
    assert len({ticket.mesh_address for ticket in tickets}) == NODES
    assert {name_of(node) for node in cluster.client.list(NodeIdentityObject)} == set(disks)
    assert len([name for name in cluster.leases() if name.startswith("disk-")]) == NODES
    noted = {f"bootstrap-token-{(cluster.token_of(name) or '').partition(' ')[0]}" for name in disks}
    assert {name_of(secret) for secret in cluster.tokens()} == noted


async def test_etcd_is_gone(breakable: Cluster) -> None:
    gone = asyncio.Event()
    joining = asyncio.create_task(ask_all_the_time(breakable, gone))
    await gone.wait()
    await asyncio.to_thread(breakable.control_plane.stop_etcd)
    await asyncio.sleep(OUTAGE)  # that is what an outage is
    assert not joining.done()
    assert breakable.metric("tickets_total", kind="ticket", role="worker", outcome="unavailable")
    await asyncio.to_thread(breakable.control_plane.start_etcd)
    await joining


async def test_the_api_server_starts_again(breakable: Cluster) -> None:
    gone = asyncio.Event()
    joining = asyncio.create_task(ask_all_the_time(breakable, gone))
    await gone.wait()
    await asyncio.to_thread(breakable.control_plane.restart_api_server)
    await joining
    (service,) = breakable.services
    await wait_for_async(service.ready, timeout=30)


async def test_a_change_during_an_outage_takes_effect_after_it(breakable: Cluster) -> None:
    await asyncio.to_thread(breakable.control_plane.stop_api_server)
    await asyncio.to_thread(breakable.control_plane.start_api_server)
    breakable.join_config.set(max=1)
    await until(lambda: breakable.metric("configs_total", outcome="accepted") == 2, timeout=30)
