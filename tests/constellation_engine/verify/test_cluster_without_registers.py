# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""SEV-SNP without a vTPM: no register holds the mark of a cluster, and guests on one chip share their identity."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from attestation.policy import Policy
from attestation.testing.node import FakeNode
from attestation.variant import Variant
from constellation_core.statements import statement_binding
from constellation_core.testing.devices import NodeIssuer
from constellation_engine.cluster.cluster_verdict import ClusterVerdict, Endpoint
from constellation_engine.cluster.verify import verify_cluster
from constellation_proto import verify_pb2
from constellation_services.testing.verified_node import CLUSTER_ID, OTHER_CLUSTER_ID, lying_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def guest() -> FakeNode:
    return FakeNode(Variant.QEMU_SNP, at=datetime.now(UTC))


@pytest.fixture
async def endpoint(guest: FakeNode) -> AsyncIterator[Endpoint]:
    """An honest service on the guest."""
    issuer = NodeIssuer(guest)

    async def state(nonce: bytes) -> verify_pb2.Statement:
        evidence = await asyncio.to_thread(issuer.issue, statement_binding(nonce, CLUSTER_ID))
        return verify_pb2.Statement(evidence=evidence.to_json(), node="guest")

    async with lying_node(issuer, state) as port:
        yield Endpoint("127.0.0.1", port)


async def ask(guest: FakeNode, *endpoints: Endpoint, cluster_id: bytes | None = CLUSTER_ID) -> ClusterVerdict:
    policy = Policy.from_mapping(guest.policy())
    return await verify_cluster(endpoints, [policy], cluster_id=cluster_id, roots=guest.roots)


async def test_the_statement_says_which_cluster(guest: FakeNode, endpoint: Endpoint) -> None:
    assert (await ask(guest, endpoint)).accepted


async def test_a_guest_of_another_cluster_is_not_accepted(guest: FakeNode, endpoint: Endpoint) -> None:
    (node,) = (await ask(guest, endpoint, cluster_id=OTHER_CLUSTER_ID)).nodes
    assert node.channel is not None
    assert node.channel.accepted
    assert not node.accepted


async def test_guests_on_one_chip_are_accepted_with_a_warning(guest: FakeNode, endpoint: Endpoint) -> None:
    verdict = await ask(guest, endpoint, endpoint)
    assert verdict.accepted
    assert verdict.warnings == (
        "guest, guest have the same chip id: guests on one host, or one machine that answers for all",
    )


async def test_without_a_cluster_id_there_is_nothing_to_compare(guest: FakeNode, endpoint: Endpoint) -> None:
    assert (await ask(guest, endpoint, cluster_id=None)).accepted


async def test_a_chip_that_hides_its_id_identifies_nobody(guest: FakeNode, endpoint: Endpoint) -> None:
    guest.snp.chip_id = bytes(64)
    (node,) = (await ask(guest, endpoint)).nodes
    assert node.accepted, node.reasons
    assert node.verdict is not None
    assert node.verdict.identity is None
    assert any("nothing identifies" in warning for warning in node.verdict.warnings)
