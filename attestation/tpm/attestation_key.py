# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The key that signs quotes, as the verifier knows it.

A TPM's own word about a key is its public area, with attributes. Some platforms give only the key, in a certificate
or inside hardware evidence, and vouch for the rest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attestation.tpm.public import parse_public

if TYPE_CHECKING:
    from attestation.tpm.public import PublicArea, PublicKey


@dataclass(frozen=True, slots=True)
class AttestationKey:
    """An attestation key.

    Attributes:
        key: the public key.
        public: its public area; None where a platform vouches for the bare key.
    """

    key: PublicKey
    public: PublicArea | None = None

    @classmethod
    def from_public_area(cls, data: bytes) -> AttestationKey:
        """Read a TPMT_PUBLIC; `verify_quote` will demand the attributes of an attestation key.

        Raises:
            MalformedError: it is not the public area of an RSA or ECC key.
        """
        public = parse_public(data)
        return cls(public.key, public)

    @property
    def name(self) -> bytes | None:
        """TPM Name of the key; None for a bare key."""
        return self.public.name if self.public is not None else None

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the key as SubjectPublicKeyInfo, 32 bytes; the same whoever describes the key."""
        spki = self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(spki).digest()

    @property
    def identity(self) -> bytes:
        """SHA-256 of the Name, 32 bytes; of a bare key the fingerprint."""
        return hashlib.sha256(self.public.name).digest() if self.public is not None else self.fingerprint

    @property
    def identity_kind(self) -> str:
        """What `identity` was computed from."""
        return "TPM name" if self.public is not None else "attestation key"
