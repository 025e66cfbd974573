# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A change of join-config takes effect at once. What cannot be used changes nothing, and says so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from lightkube.resources.core_v1 import ConfigMap

from constellation_core.channel.client import attested_channel
from constellation_core.cluster_history import OBJECT_NAME as HISTORY
from constellation_core.cluster_history import revisions
from constellation_core.conditions import wait_for_async
from constellation_core.names import NAMESPACE
from constellation_core.testing.watching import until
from constellation_proto.join_grpc import JoinStub
from node_agent.errors import PermanentError, TemporaryError
from tests.constellation_services.join.world import KUBERNETES_VERSION, VERIFIER, new_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.constellation_services.join.world import Cluster

OTHERS = {"4": {"expected": "ab" * 32, "enforced": True}}
"""Measurements of an image that nobody here runs."""
SOON = 2.0  # seconds
WAITS = 0.3  # seconds that a node waits in vain

BROKEN = {
    "not YAML": "version: [1",
    "an unknown field": "version: 1\npolicies: []\nacceptAll: true\n",
    "an unknown variant": "version: 1\npolicies: [{variant: enigma, measurements: {}}]\n",
    "nobody could join": "version: 1\npolicies: []\n",
    "no measurements": "version: 1\npolicies: [{variant: qemu-vtpm, measurements: {}}]\n",
    "no file": None,
}
broken = pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
unusable = pytest.mark.parametrize("text", ["version: [1", None], ids=["broken", "missing"])


def missing(cluster: Cluster) -> dict[str, str]:
    """What each condition of readiness says that is not true."""
    said = {one.name: one.check() for service in cluster.services for one in service.ready}
    return {name: str(words) for name, words in said.items() if words}


async def test_an_image_that_is_accepted_no_more_is_refused_at_once(cluster: Cluster) -> None:
    machine = cluster.machine("b")
    await cluster.ticket(machine, "worker-0")
    cluster.join_config.set(measurements=OTHERS)
    async with asyncio.timeout(SOON):
        await until(lambda: cluster.metric("configs_total", outcome="accepted") == 2)
    with pytest.raises(PermanentError, match=r"measurements\.4: expected abab"):
        await cluster.ticket(machine, "worker-1")
    assert not any("worker-1" in item for item in cluster.stored())


async def test_an_image_is_accepted_at_once(cluster: Cluster) -> None:
    cluster.join_config.set(measurements=OTHERS)
    await until(lambda: cluster.metric("configs_total", outcome="accepted") == 2)
    cluster.join_config.set()
    async with asyncio.timeout(SOON):
        await until(lambda: cluster.metric("configs_total", outcome="accepted") == 3)
    await cluster.ticket(cluster.machine("b"))


async def test_who_was_judged_by_an_earlier_version_is_judged_again(cluster: Cluster) -> None:
    """A connection that was let in before the image was revoked is worth nothing after."""
    service, machine = cluster.addresses()[0], cluster.machine("b")
    async with attested_channel(service.host, service.port, verifier=VERIFIER, issuer=machine) as channel:
        cluster.join_config.set(measurements=OTHERS)
        await until(lambda: cluster.metric("configs_total", outcome="accepted") == 2)
        with pytest.raises(Exception, match="judged too long ago"):
            await JoinStub(channel).IssueTicket(new_request().message)
    assert cluster.stored() == []
    assert cluster.metric("tickets_total", kind="ticket", role="worker", outcome="outdated") == 1


async def test_who_was_judged_long_ago_is_judged_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from constellation_services.join import rpc  # noqa: PLC0415

    monkeypatch.setattr(rpc, "FRESH", -rpc.FRESH)
    with pytest.raises(TemporaryError, match="judged too long ago: connect again"):
        await cluster.ticket(cluster.machine("b"), timeout=WAITS)


@broken
async def test_a_broken_version_changes_nothing_and_says_so(cluster: Cluster, text: str | None) -> None:
    cluster.join_config.write(text)
    await until(lambda: cluster.metric("configs_total", outcome="refused") == 1)
    await cluster.ticket(cluster.machine("b"))
    (message,) = await cluster.events("JoinConfigRefused")
    assert message.startswith("join-config cannot be used, the version before it still holds: ")
    assert cluster.metric("config_usable") == 0
    assert not missing(cluster)


async def test_join_config_may_vanish(cluster: Cluster) -> None:
    cluster.join_config.remove()
    await until(lambda: cluster.metric("configs_total", outcome="refused") == 1)
    await cluster.ticket(cluster.machine("b"))


async def test_it_may_be_whole_again(cluster: Cluster) -> None:
    cluster.join_config.write("version: [1")
    await until(lambda: cluster.metric("configs_total", outcome="refused") == 1)
    cluster.join_config.set()
    await until(lambda: cluster.metric("config_usable") == 1)
    await cluster.ticket(cluster.machine("b"))


@unusable
async def test_without_a_usable_version_nobody_joins(empty_cluster: Cluster, text: str | None) -> None:
    empty_cluster.join_config.write(text)
    async with empty_cluster.service(ready=False):
        await until(lambda: empty_cluster.metric("configs_total", outcome="refused"))
        with pytest.raises(TemporaryError):
            await empty_cluster.ticket(empty_cluster.machine("b"), timeout=WAITS)
        assert "join-config was read" in missing(empty_cluster)
        assert empty_cluster.stored() == []


async def test_nodes_that_come_before_the_first_version_wait_for_it(empty_cluster: Cluster) -> None:
    """They are not told to go away for good: nobody could say whether they are acceptable."""
    empty_cluster.join_config.remove()
    async with empty_cluster.service(ready=False) as service:
        joining = asyncio.create_task(empty_cluster.ticket(empty_cluster.machine("b")))
        await until(lambda: empty_cluster.metric("connections_total", outcome="closed") >= 2)
        empty_cluster.join_config.set()
        assert (await joining).mesh_address
        await wait_for_async(service.ready, timeout=SOON)


async def test_the_last_five_versions_are_kept(cluster: Cluster) -> None:
    texts = [cluster.join_config.set()]
    for number in range(1, 7):
        texts.append(cluster.join_config.set(max=number))
        await until(lambda: kept(cluster)[-1:] == texts[-1:])
    assert kept(cluster) == texts[-5:]


async def test_two_instances_write_history_once(cluster: Cluster) -> None:
    async with cluster.service():
        before = len(kept(cluster))
        text = cluster.join_config.set(max=1)
        await until(lambda: cluster.metric("configs_total", outcome="accepted") == 4)
        await cluster.events("")
        assert kept(cluster)[-1] == text
        assert len(kept(cluster)) == before + 1


async def test_what_is_broken_is_not_kept(cluster: Cluster) -> None:
    await until(lambda: len(kept(cluster)) == 1)
    cluster.join_config.write("version: [1")
    await until(lambda: cluster.metric("configs_total", outcome="refused") == 1)
    await cluster.events("")
    assert len(kept(cluster)) == 1


def without_facts(cluster: Cluster) -> None:
    cluster.facts.remove()


def broken_facts(cluster: Cluster) -> None:
    cluster.facts.write("version: 1\nname: [")


def without_programs(cluster: Cluster) -> None:
    cluster.facts.set(components="components-" + "00" * 32)


@pytest.mark.parametrize("spoil", [without_facts, broken_facts, without_programs])
async def test_without_facts_nobody_joins_yet(empty_cluster: Cluster, spoil: Callable[[Cluster], None]) -> None:
    spoil(empty_cluster)
    async with empty_cluster.service(ready=False) as service:
        await until(lambda: empty_cluster.metric("configs_total", outcome="accepted") == 1)
        with pytest.raises(TemporaryError, match="the cluster cannot let machines in now"):
            await empty_cluster.ticket(empty_cluster.machine("b"), timeout=WAITS)
        assert list(missing(empty_cluster)) == ["the facts of the cluster are known"]
        assert empty_cluster.stored() == []
        assert empty_cluster.metric("tickets_total", kind="ticket", role="worker", outcome="unavailable")
        empty_cluster.facts.set()
        await wait_for_async(service.ready, timeout=SOON)
        await empty_cluster.ticket(empty_cluster.machine("b"))


@pytest.mark.parametrize("spoil", [without_facts, without_programs])
async def test_facts_that_were_known_still_hold(cluster: Cluster, spoil: Callable[[Cluster], None]) -> None:
    spoil(cluster)
    await until(lambda: cluster.metric("facts_usable") == 0)
    assert (await cluster.ticket(cluster.machine("b"))).kubernetes_version == KUBERNETES_VERSION
    assert not missing(cluster)


async def test_new_facts_are_in_the_next_ticket(cluster: Cluster) -> None:
    cluster.facts.set(kubernetes_version="v1.36.9")
    ticket = await cluster.ticket(cluster.machine("b"), "worker-0")
    async with asyncio.timeout(SOON):
        while ticket.kubernetes_version != "v1.36.9":
            ticket = await cluster.ticket(
                cluster.machine("b"), "worker-0", disk=cluster.node("worker-0")["spec"]["disk"]
            )


def kept(cluster: Cluster) -> list[str]:
    """The history of join-config."""
    found = cluster.client.get(ConfigMap, HISTORY, namespace=NAMESPACE)
    return [revision.text for revision in revisions(found.data)]
