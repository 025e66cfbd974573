# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Where metadata comes from: one small protocol for all platforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from node_agent.metadata.record import Metadata


class MetadataSource(Protocol):
    """Gives the metadata of this machine."""

    async def read(self) -> Metadata:
        """Read it, as it is now: peers come and go.

        Raises:
            TemporaryError: it is not there yet, or cannot be used: somebody may write another.
        """
