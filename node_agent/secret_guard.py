# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whoever initialises or recovers a node shows a secret whose bcrypt hash is in the metadata.

The hash is the host's word: it keeps strangers out, and whoever controls the host is no stranger to it. What makes a
node trust an administrator is the key material, and what makes an administrator trust a node is its evidence.

1. Attempts are few, one at a time, and every address has its share (attack: try them all; attack: our time).
2. The hash is computed in a thread (attack: the node answers nobody meanwhile).
3. Without a hash nobody passes.
"""

from __future__ import annotations

import asyncio
from typing import Final

from constellation_core.channel.turns import TurnLimits, Turns

ATTEMPTS: Final = TurnLimits(per_second=0.5, burst=6, waiting=16, lane=2, patience=30.0)
LONGEST: Final = 72  # bytes that bcrypt looks at: a longer secret would be another one in truth


class SecretGuard:
    """Compares secrets with a hash.

    Args:
        known: bcrypt hash; empty where nobody may pass.
        turns: how often somebody may try.
    """

    def __init__(self, known: str, turns: Turns | None = None) -> None:
        self._known = known.encode()
        self._turns = turns or Turns(ATTEMPTS)

    async def knows(self, secret: bytes, address: str) -> bool:
        """Compare.

        Args:
            secret: what was shown.
            address: of who shows it.

        Raises:
            BusyError: too many try.
        """
        async with self._turns.turn(address):  # 1
            if not self._known or not 0 < len(secret) <= LONGEST:  # 3
                return False
            return await asyncio.to_thread(_matches, secret, self._known)  # 2


def _matches(secret: bytes, known: bytes) -> bool:
    import bcrypt  # noqa: PLC0415 - few nodes are ever asked

    try:
        return bcrypt.checkpw(secret, known)
    except ValueError:  # a hash or a secret that bcrypt does not take
        return False
