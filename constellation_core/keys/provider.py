# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a source of keys is, whatever is behind it.

Two kinds exist: one derives keys from a master secret (`cluster://`), the other makes random keys, has a key management
service wrap them and keeps the wrapped ones (`awskms://`). Both answer the same question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from constellation_core.errors import KeyProviderError

if TYPE_CHECKING:
    from constellation_core.keys.secret import Secret

MIN_LENGTH: Final = 16  # bytes of a key
MAX_LENGTH: Final = 64


class KeyProvider(Protocol):
    """Gives keys by their id; the same id gives the same key for ever."""

    async def data_key(self, key_id: str, length: int) -> Secret:
        """Give the key of an id, made now if it was never asked for.

        Args:
            key_id: what the key is for, as in `constellation_core.keys.derivation`.
            length: bytes, 16 to 64; asking again with another length is an error where keys are not derived.

        Raises:
            KeyProviderUnavailableError: it cannot be reached now.
            KeyProviderError: it refuses, or what it keeps is damaged.
        """


class WrappedKeyStore(Protocol):
    """Keeps wrapped keys: what nobody can use without the key management service."""

    async def read(self, key_id: str) -> bytes | None:
        """Give the wrapped key of an id; None where there is none yet."""

    async def create(self, key_id: str, wrapped: bytes) -> bytes:
        """Keep a new wrapped key unless one is there; return the one that is kept."""


def check_length(length: int) -> None:
    """Check that a key of this length may be asked for.

    Raises:
        KeyProviderError: it may not.
    """
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise KeyProviderError(f"a key has {MIN_LENGTH} to {MAX_LENGTH} bytes, asked for were {length}")
