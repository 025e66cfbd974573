# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Key providers by their URI: what stands behind a cluster's key material.

async with open_provider(KeyMaterial.read(folder), store) as keys:
    key = await keys.data_key(MEASUREMENT_SECRET, 32)
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from constellation_core.errors import ConfigError
from constellation_core.keys.cluster import ClusterKeyProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from constellation_core.keys.key_material import KeyMaterial
    from constellation_core.keys.provider import KeyProvider, WrappedKeyStore


@asynccontextmanager
async def open_provider(material: KeyMaterial, store: WrappedKeyStore | None = None) -> AsyncIterator[KeyProvider]:
    """Open the key provider of a cluster for as long as the block runs.

    Args:
        material: which one, and what it needs.
        store: keeps wrapped keys, for providers outside of the cluster.

    Raises:
        ConfigError: there is no store, and the provider needs one.
        MissingExtraError: its library is not installed.
    """
    key = material.uri.aws_key
    if material.secret is not None:
        yield ClusterKeyProvider(material.secret, material.salt)
    elif key is None or store is None:
        raise ConfigError(f"key provider {material.uri.scheme}:// needs a place for wrapped keys")
    else:
        from constellation_core.keys.aws_kms import AwsKmsProvider  # noqa: PLC0415 - only who uses it pays for it

        async with AwsKmsProvider(key, store, material.salt) as provider:
            yield provider
