# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A new key for the mesh in every boot that a join service opens; how it is kept is in `node_agent.network.keys`.

It happens when the disk is open, where both keys are safe from a power cut, and before the boot is marked: the join
service lets in nobody whose boot belongs to a cluster already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node_agent.errors import PermanentError
from node_agent.loops import words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from constellation_proto import join_pb2


async def renew_mesh_key(
    folder: Path, announce: Callable[[bytes], Awaitable[join_pb2.RejoinTicket]], report: Callable[[str], None]
) -> join_pb2.RejoinTicket | None:
    """Change the key of this node, if the cluster takes the new one. Who is refused keeps the key that it has.

    Args:
        folder: where the mesh keeps its keys.
        announce: asks a join service for a ticket, with the public half.
        report: told what happened.

    Returns:
        The ticket that came with the new key; None where the old one stays.

    Raises:
        TemporaryError: nobody answered, so nobody knows which key the peers have been told. The next attempt asks with
            the same one.
        PermanentError: the disk fails.
    """
    from node_agent.network import keys  # noqa: PLC0415 - its package brings the whole mesh

    public = keys.make_next_key(folder).public_key().public_bytes_raw()
    try:
        ticket = await announce(public)
    except PermanentError as error:
        report(f"the mesh keeps its key: {words(error)}")
        return None
    if ticket.wireguard_public_key != public:
        report("the mesh keeps its key: the join service is of a release that changes none")
        return None
    keys.take_next_key(folder)
    report("the mesh has a new key")
    return ticket
