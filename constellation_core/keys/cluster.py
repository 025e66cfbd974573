# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Key provider `cluster://`: keys derive from a master secret that the cluster itself holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_core.keys.derivation import derive
from constellation_core.keys.provider import check_length

if TYPE_CHECKING:
    from constellation_core.keys.secret import Secret


class ClusterKeyProvider:
    """Derives keys: nothing is kept, nothing is asked of others.

    Args:
        secret: the cluster's master secret, 32 bytes.
        salt: its salt, 32 bytes.
    """

    def __init__(self, secret: Secret, salt: bytes) -> None:
        self._secret = secret
        self._salt = salt

    async def data_key(self, key_id: str, length: int) -> Secret:
        """Give the key of an id, as `KeyProvider` says."""
        check_length(length)
        return derive(self._secret, self._salt, key_id, length)
