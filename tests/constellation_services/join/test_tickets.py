# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node that proved itself gets a ticket, and everything in it is worth what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.constellation_services.join.world import Cluster


async def test_a_node_gets_a_ticket(cluster: Cluster) -> None:
    ticket = await cluster.ticket(cluster.machine("b"), name="worker-0")
    assert ticket.mesh_address
