# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What the launch of a confidential machine says about it, in the hardware's word: HOST_DATA of SEV-SNP.

The launch manifest is canonical JSON (RFC 8785; all values are texts, so sorted names and no spaces are all of it).
Its SHA-256 is HOST_DATA, which the processor puts into every report: a node cannot change its own role.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class LaunchManifest:
    """What a machine is launched as.

    Attributes:
        uid: of the cluster.
        name: of the machine.
        role: "control-plane" or "worker".
        node_group: that it belongs to.
        image_key: SHA-256 of the key that signs node images (`key_digest`), hexadecimal.
    """

    uid: str
    name: str
    role: str
    node_group: str
    image_key: str

    def document(self) -> bytes:
        """Give the canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def host_data(self) -> bytes:
        """Give the digest that the launch carries, 32 bytes."""
        return hashlib.sha256(self.document()).digest()


def key_digest(key: EllipticCurvePublicKey) -> str:
    """Give SHA-256 of a public key (SubjectPublicKeyInfo, DER), hexadecimal: the same however its file is written."""
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()
