# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A Nitro system made of software: attestation documents that verify.

nitro = FakeNitro()
data = nitro.document({4: bytes(48)}, nonce=binding, user_data=key)

nitro.algorithm = -7                                       # ES256 in the header
nitro.changes["digest"] = "SHA256"                         # another field in the signed map
nitro.signature_bit = 1                                    # a broken signature
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from attestation.aws.cbor import Major, encode_bytes, encode_head, encode_text
from attestation.aws.document import REGISTER_SIZE
from attestation.testing.authority import FakeAuthority

ES384 = -35
COORDINATE_SIZE = 48
TIMESTAMP = 1_750_000_000_000  # milliseconds; June 2025


@dataclass(slots=True)
class FakeNitro:
    """Signs documents.

    Attributes:
        authority: who certifies its key.
        instance: whose TPM it is.
        registers: SHA-384 bank of that TPM, index → 48 bytes.
        algorithm: what the protected header says.
        changes: fields of the signed map, instead of the true ones; None leaves a field away.
        signature_bit: flipped in the signature.
    """

    authority: FakeAuthority = field(default_factory=lambda: FakeAuthority("Nitro"))
    instance: str = "i-0123456789abcdef0-tpm0000000000000000"
    registers: dict[int, bytes] = field(default_factory=lambda: dict.fromkeys(range(24), bytes(REGISTER_SIZE)))
    algorithm: int = ES384
    changes: dict[str, Any] = field(default_factory=dict)
    signature_bit: int = 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP384R1()), repr=False)

    def document(self, *, nonce: bytes, user_data: bytes) -> bytes:
        """Sign a document about the registers (`attestation.aws.issuer.NitroDocuments`).

        Args:
            nonce: what the instance wants to be signed along.
            user_data: the same.
        """
        fields = {
            "module_id": self.instance,
            "digest": "SHA384",
            "timestamp": TIMESTAMP,
            "nitrotpm_pcrs": self.registers,
            "certificate": self.authority.certify(self.key.public_key(), subject=self.instance),
            "cabundle": [self.authority.root, self.authority.intermediate],
            "public_key": None,
            "user_data": user_data,
            "nonce": nonce,
        }
        payload = encode(fields | self.changes)
        protected = encode({1: self.algorithm})
        signature = self._sign(encode(["Signature1", protected, b"", payload]))
        return encode([protected, {}, payload, signature])

    def _sign(self, data: bytes) -> bytes:
        r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(COORDINATE_SIZE, "big") + (s ^ self.signature_bit).to_bytes(COORDINATE_SIZE, "big")


def encode(value: object) -> bytes:  # noqa: PLR0911 - one line for each kind of value
    """Write what documents consist of as CBOR."""
    match value:
        case None:
            return b"\xf6"
        case int() if value < 0:
            return encode_head(Major.NEGATIVE, -1 - value)
        case int():
            return encode_head(Major.UNSIGNED, value)
        case bytes():
            return encode_bytes(value)
        case str():
            return encode_text(value)
        case list():
            return encode_head(Major.ARRAY, len(value)) + b"".join(map(encode, value))
        case dict():
            pairs = (encode(key) + encode(item) for key, item in value.items())
            return encode_head(Major.MAP, len(value)) + b"".join(pairs)
    message = f"no part of a document: {value!r}"
    raise TypeError(message)
