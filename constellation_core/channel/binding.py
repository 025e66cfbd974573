# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What evidence signs on an attested channel: both nonces, the role, and the TLS connection itself.

The exporter (RFC 8446, section 7.5) is known to the two ends of one TLS connection and to nobody else, not even to who
holds the server's key: evidence made for one connection says nothing on another.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import Final

VERSION: Final = "constellation-attest/1"
EXPORTER_LABEL: Final = b"EXPORTER-constellation-attest/1"
EXPORTER_SIZE: Final = 32  # bytes
NONCE_SIZE: Final = 32  # bytes


class Role(Enum):
    """Which side of a channel made evidence."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What both ends of one TLS connection know.

    Attributes:
        exporter: 32 bytes of keying material of this connection.
        server_key: the server's public key, SubjectPublicKeyInfo, DER.
    """

    exporter: bytes
    server_key: bytes

    def binding(self, role: Role, *, nonce_of_peer: bytes, own_nonce: bytes) -> bytes:
        """Compute the 32 bytes that the evidence of one side signs.

        Args:
            role: the side that signs.
            nonce_of_peer: what the other side sent.
            own_nonce: what the side that signs sent.
        """
        parts = (
            VERSION.encode(),
            role.value.encode(),
            nonce_of_peer,
            own_nonce,
            self.exporter,
            hashlib.sha256(self.server_key).digest(),
        )
        return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
