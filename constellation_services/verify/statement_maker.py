# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Makes statements, whichever way the question came."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from constellation_core.statements import CLUSTER_ID_SIZE, Statement, statement_binding
from constellation_services.errors import NoClusterError

if TYPE_CHECKING:
    from pathlib import Path

    from attestation.issuer import Issuer
    from constellation_core.channel.turns import Turns

_CLUSTER_ID: Final = re.compile(rb"[0-9a-f]{%d}\n?" % (2 * CLUSTER_ID_SIZE))


class StatementMaker:
    """Makes statements of this node.

    Args:
        issuer: evidence of this node.
        turns: whose turn it is at the device; the connections of the attested channel use the same.
        node: its name.
        cluster_id: file with the cluster ID in hexadecimal, which is there when the node carries the cluster's mark.
    """

    def __init__(self, issuer: Issuer, turns: Turns, node: str, cluster_id: Path) -> None:
        self._issuer = issuer
        self._turns = turns
        self._node = node
        self._cluster_id = cluster_id
        self._device = ThreadPoolExecutor(1, thread_name_prefix="statement")

    async def make(self, nonce: bytes, *, address: str) -> Statement:
        """Make a statement.

        1. The nonce has the one size that it can have (attack: move the border between nonce and cluster ID).
        2. This node belongs to a cluster: evidence bound to a nonce alone could be for anything.
        3. It is the asker's turn (attack: wear the device out, or keep others from it).

        Args:
            nonce: 32 bytes.
            address: where the question came from.

        Raises:
            StatementError: 1 does not hold.
            NoClusterError: 2 does not hold.
            BusyError: 3 does not hold.
            AttestationError: a device failed.
        """
        binding = statement_binding(nonce, self._read_cluster_id())  # 1, 2
        async with self._turns.turn(address):  # 3
            loop = asyncio.get_running_loop()
            evidence = await loop.run_in_executor(self._device, self._issuer.issue, binding)
        return Statement(self._node, nonce, evidence)

    def no_cluster(self) -> str | None:
        """Say why this node makes no statements; None where it belongs to a cluster."""
        try:
            self._read_cluster_id()
        except NoClusterError as error:
            return str(error)
        return None

    def close(self) -> None:
        """End the thread; what it is doing is finished in the background."""
        self._device.shutdown(wait=False, cancel_futures=True)

    def _read_cluster_id(self) -> bytes:
        try:
            text = self._cluster_id.read_bytes()
        except OSError as error:
            raise NoClusterError(
                f"this node belongs to no cluster: {error.strerror}", hint="ask again when it has joined"
            ) from None
        if not _CLUSTER_ID.fullmatch(text):
            raise NoClusterError(
                f"the cluster ID of this node: expected {2 * CLUSTER_ID_SIZE} digits 0-9, a-f, got {len(text)} bytes"
            )
        return bytes.fromhex(text.decode("ascii"))
