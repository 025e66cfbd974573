# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Statements: evidence of a node that serves a cluster, for whoever asks (protocols.md, sections 2 and 4).

A statement is bound to SHA-256("constellation-verify/1" ‖ nonce ‖ cluster ID). All three have fixed lengths, so no two
questions have the same binding. The nonce makes a statement fresh; the cluster ID keeps one cluster's statement from
answering for another one, also where no register holds the cluster's mark.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from constellation_core.errors import StatementError

if TYPE_CHECKING:
    from attestation.evidence import Evidence

LABEL: Final = b"constellation-verify/1"
NONCE_SIZE: Final = 32  # bytes
CLUSTER_ID_SIZE: Final = 32  # bytes
STATEMENT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Statement:
    """What a node says of itself.

    Attributes:
        node: its name, by its own word.
        nonce: what it was asked with, 32 bytes.
        evidence: bound to the nonce and to the cluster.
    """

    node: str
    nonce: bytes
    evidence: Evidence

    def to_json(self) -> bytes:
        """Give canonical JSON, as of evidence; the evidence's own canonical JSON is in it, byte by byte."""
        node = json.dumps(self.node).encode("ascii")
        return b'{"evidence":%b,"node":%b,"nonce":"%b","version":%d}' % (
            self.evidence.to_json(),
            node,
            self.nonce.hex().encode("ascii"),
            STATEMENT_VERSION,
        )


def new_nonce() -> bytes:
    """Make a nonce that nobody has asked with before: 32 random bytes."""
    return secrets.token_bytes(NONCE_SIZE)


def statement_binding(nonce: bytes, cluster_id: bytes) -> bytes:
    """Compute the 32 bytes that the evidence of a statement signs.

    Args:
        nonce: 32 bytes, of whoever asks.
        cluster_id: 32 bytes, of the cluster that the node serves.

    Raises:
        StatementError: one of them has another size.
    """
    for what, value, size in (("nonce", nonce, NONCE_SIZE), ("cluster ID", cluster_id, CLUSTER_ID_SIZE)):
        if len(value) != size:
            raise StatementError(f"{what}: expected {size} bytes, got {len(value)}")
    return hashlib.sha256(LABEL + nonce + cluster_id).digest()
