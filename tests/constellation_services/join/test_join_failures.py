# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever breaks while a ticket is made, the node asks again and gets the same: nothing is half given, or lost."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from constellation_core.channel.client import attested_channel
from constellation_core.cluster_objects import NodeIdentityObject
from constellation_core.conditions import wait_for_async
from constellation_core.roles import Role
from constellation_core.testing.watching import until
from constellation_engine.cluster.nodes import forget
from constellation_proto.join_grpc import JoinStub
from constellation_services import watching
from constellation_services.join.roster import Roster
from node_agent.errors import TemporaryError
from tests.constellation_services.join.wire import Break
from tests.constellation_services.join.world import VERIFIER, name_of, new_request

if TYPE_CHECKING:
    from tests.constellation_services.join.world import Cluster

WAITS = 0.3  # seconds that a node waits in vain
MOST_CALLS = 20


def makes_tickets(call: str) -> bool:
    """Whether a node waits for a call."""
    return "status" not in call and "events" not in call


def is_background(call: str) -> bool:
    return not makes_tickets(call)


def check_whole(cluster: Cluster, name: str) -> None:
    """Check that a node has one of everything, and that its token is the one that is noted."""
    (node,) = cluster.client.list(NodeIdentityObject)
    claims = {f"disk-{node['spec']['disk']}", f"mesh-{node['spec']['meshAddress'].replace('.', '-')}"}
    assert set(cluster.leases()) - {"control-plane-join"} == claims
    note = cluster.token_of(name) or ""
    assert [name_of(secret) for secret in cluster.tokens()] == [f"bootstrap-token-{note.partition(' ')[0]}"]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    "how",
    [
        pytest.param(Break.REQUEST_LOST, marks=pytest.mark.slow),
        Break.ANSWER_LOST,
        pytest.param(Break.REFUSED, marks=pytest.mark.slow),
    ],
    ids=lambda how: how.name,
)
async def test_a_call_that_breaks_costs_one_more_attempt(cluster: Cluster, how: Break, role: Role) -> None:
    """Every call that a ticket is made with, one after the other."""
    machine, disk, addresses = cluster.machine("b"), str(uuid.uuid4()), set()
    for number in range(MOST_CALLS):
        cluster.wire.break_call(number, how, makes_tickets)
        ticket = await cluster.ticket(machine, "node-0", disk=disk, role=role)
        check_whole(cluster, "node-0")
        addresses.add(ticket.mesh_address)
        if not cluster.wire.broken:
            break
        forget(cluster.client, "node-0")
        await until(lambda: cluster.metric("nodes") == 0)
    assert number >= (4 if role is Role.WORKER else 7)
    assert len(addresses) == 1


@pytest.mark.parametrize("role", [Role.WORKER, pytest.param(Role.CONTROL_PLANE, marks=pytest.mark.slow)])
async def test_a_service_that_ends_between_two_calls_leaves_nothing_half_done(
    empty_cluster: Cluster, role: Role
) -> None:
    """It is killed at every call; then another one makes the ticket."""
    machine, disk = empty_cluster.machine("b"), str(uuid.uuid4())
    for number in itertools.count():
        request = new_request("node-0", disk=disk, role=role)
        async with empty_cluster.service(grace=0.01):
            empty_cluster.wire.break_call(number, Break.SILENCE, makes_tickets)
            asking = asyncio.create_task(empty_cluster.send(machine, request))
            await until(lambda: empty_cluster.wire.broken or asking.done())  # noqa: B023 - waited for here
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        if not empty_cluster.wire.broken:
            break
        async with empty_cluster.service():
            assert (await empty_cluster.send(machine, request)).mesh_address
            check_whole(empty_cluster, "node-0")
        forget(empty_cluster.client, "node-0")
    assert number >= (4 if role is Role.WORKER else 7)


async def test_what_nobody_waits_for_may_break(cluster: Cluster) -> None:
    cluster.wire.break_call(0, Break.REFUSED, is_background)
    await cluster.ticket(cluster.machine("b"))
    await cluster.events("")
    assert cluster.wire.broken
    assert cluster.metric("dropped_news_total") == 1


async def test_without_keys_there_is_no_ticket_yet(cluster: Cluster) -> None:
    cluster.keys.unavailable = True
    with pytest.raises(TemporaryError, match="the cluster cannot let machines in now"):
        await cluster.ticket(cluster.machine("b"), timeout=WAITS)
    assert cluster.stored() == []
    assert cluster.metric("tickets_total", kind="ticket", role="worker", outcome="unavailable")
    cluster.keys.unavailable = False
    await cluster.ticket(cluster.machine("b"))


async def test_nodes_wait_for_keys(cluster: Cluster) -> None:
    cluster.keys.unavailable = True
    joining = asyncio.create_task(cluster.ticket(cluster.machine("b")))
    await until(lambda: cluster.metric("tickets_total", kind="ticket", role="worker", outcome="unavailable"))
    cluster.keys.unavailable = False
    assert (await joining).state_disk_key


async def test_a_node_that_went_away_may_come_again(cluster: Cluster) -> None:
    cluster.keys.open.clear()
    machine, request, service = cluster.machine("b"), new_request(), cluster.addresses()[0]
    async with attested_channel(service.host, service.port, verifier=VERIFIER, issuer=machine) as channel:
        asking = asyncio.create_task(JoinStub(channel).IssueTicket(request.message))
        await until(lambda: cluster.keys.asked)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    cluster.keys.open.set()
    assert (await cluster.send(machine, request)).mesh_address
    check_whole(cluster, "worker-0")


async def test_a_slow_tpm_holds_up_nobody_else(cluster: Cluster) -> None:
    slow, fast = cluster.machine("slow"), cluster.machine("b")
    slow.delay = lambda: time.sleep(0.6)
    waiting = asyncio.create_task(cluster.ticket(slow, "slow"))
    await until(lambda: cluster.metric("connections_total", outcome="accepted") == 0)
    for number in range(3):
        await cluster.ticket(fast, f"fast-{number}")
    assert not waiting.done()
    assert (await waiting).mesh_address
    slow.delay = lambda: None


async def test_a_request_that_runs_is_answered_before_the_end(empty_cluster: Cluster) -> None:
    """As at SIGTERM: who comes then is sent elsewhere, and readiness says so."""
    stop = asyncio.Event()

    async def run() -> None:
        async with empty_cluster.service():
            await stop.wait()

    running = asyncio.create_task(run())
    await until(lambda: empty_cluster.services)
    (service,) = empty_cluster.services
    await wait_for_async(service.ready, timeout=WAITS * 10)
    empty_cluster.keys.open.clear()
    address = empty_cluster.addresses()
    joining = asyncio.create_task(empty_cluster.ticket(empty_cluster.machine("b")))
    await until(lambda: empty_cluster.keys.asked)
    stop.set()
    await until(lambda: not empty_cluster.services)
    assert [one.name for one in service.ready if one.check()] == ["machines may connect"]
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(address[0].host, address[0].port)
    empty_cluster.keys.open.set()
    assert (await joining).mesh_address
    await running


@pytest.fixture
def short_watches(empty_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "WATCH", 0.5)
    monkeypatch.setattr(watching, "STALE", 1.5)
    monkeypatch.setattr(watching, "_PAUSES", (0.1,))
    empty_cluster.api_timeout = 1


@pytest.mark.usefixtures("short_watches")
async def test_a_watch_that_went_silent_is_noticed(empty_cluster: Cluster) -> None:
    """No error and no end: nothing comes any more, and the service looks for itself."""
    async with empty_cluster.wire.through_proxy() as proxy, empty_cluster.service():
        proxy.stall(new=False)
        empty_cluster.join_config.set(max=1)
        await until(lambda: empty_cluster.metric("configs_total", outcome="accepted") == 2)


@pytest.mark.usefixtures("short_watches")
async def test_a_service_that_sees_nothing_any_more_says_so(empty_cluster: Cluster) -> None:
    async with empty_cluster.wire.through_proxy() as proxy, empty_cluster.service() as service:
        proxy.stall(new=True)
        await until(lambda: len([one.name for one in service.ready if one.check()]) == 2)
        said = {one.name: one.check() for one in service.ready if one.check()}
        assert list(said) == ["ConfigMaps are followed", "NodeIdentity objects are followed"]
        assert all("last read" in str(words) for words in said.values())
        empty_cluster.join_config.set(max=1)
        proxy.resume()
        await wait_for_async(service.ready, timeout=30)
        await until(lambda: empty_cluster.metric("configs_total", outcome="accepted") == 2)


async def test_what_follows_survives_what_nobody_foresaw(
    empty_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watcher that stopped, and nobody knows, is the worst of all."""
    take = Roster.take
    broken: list[bool] = []

    def fail_once(roster: Roster, objects: dict[str, object]) -> None:
        if not broken:
            broken.append(True)
            raise KeyError("spec")
        take(roster, objects)

    monkeypatch.setattr(Roster, "take", fail_once)
    async with empty_cluster.service() as service:
        assert broken
        await wait_for_async(service.ready, timeout=1)
        await empty_cluster.ticket(empty_cluster.machine("b"))
