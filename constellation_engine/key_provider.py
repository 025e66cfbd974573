# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a key management service can keep the keys of a cluster, seen by trying it before a cluster depends on it."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from constellation_core.errors import KeyProviderError
from constellation_core.keys.derivation import MEASUREMENT_SECRET, SECRET_SIZE
from constellation_core.keys.key_material import KeyMaterial
from constellation_core.keys.opening import open_provider
from constellation_core.keys.secret import Secret
from constellation_core.keys.uri import Scheme

if TYPE_CHECKING:
    from constellation_core.keys.uri import ProviderUri


class _Store(dict[str, bytes]):
    """Keeps what is wrapped for as long as the try takes."""

    async def read(self, key_id: str) -> bytes | None:
        return self.get(key_id)

    async def create(self, key_id: str, wrapped: bytes) -> bytes:
        return self.setdefault(key_id, wrapped)


def try_provider(uri: ProviderUri) -> None:
    """Have a key made and wrapped, and then unwrapped. Both are thrown away.

    Raises:
        KeyProviderError: the service refuses, cannot be reached, or does not give the key back.
        MissingExtraError: its library is not installed.
    """
    asyncio.run(_try(uri))


async def _try(uri: ProviderUri) -> None:
    secret = Secret.random(SECRET_SIZE) if uri.scheme is Scheme.CLUSTER else None
    material, store = KeyMaterial(uri, secrets.token_bytes(SECRET_SIZE), secret), _Store()
    keys = []
    for _ in range(2):
        async with open_provider(material, store) as provider:
            keys.append(await provider.data_key(MEASUREMENT_SECRET, SECRET_SIZE))
    if keys[0] != keys[1]:
        raise KeyProviderError(f"key provider {uri.scheme}:// gives another key than it gave before")
