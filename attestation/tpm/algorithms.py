# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Algorithm identifiers of TPM 2.0 (TPM_ALG_ID, TPM_ECC_CURVE) and what they stand for.

After "TCG Algorithm Registry" 1.34, tables 3 and 4. Numbers that are not listed here are kept as plain integers by
the parsers and refused where a computation would need them.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from attestation.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping

ALG_AES: Final = 0x0006
ALG_NULL: Final = 0x0010
ALG_CFB: Final = 0x0043


class HashAlgorithm(IntEnum):
    """A hash that this library computes; also the name of a bank of registers."""

    SHA1 = 0x0004
    SHA256 = 0x000B
    SHA384 = 0x000C
    SHA512 = 0x000D

    @classmethod
    def of(cls, number: int, what: str) -> HashAlgorithm:
        """Give the algorithm with this TPM_ALG_ID.

        Args:
            number: the identifier.
            what: the structure that holds it, for the error message.

        Raises:
            MalformedError: it is not a hash that we compute.
        """
        try:
            return _HASHES[number]
        except KeyError:
            raise MalformedError(f"{what}: {number:#06x} is not a hash algorithm known here") from None

    @property
    def label(self) -> str:
        """Name as hashlib and policies spell it ("sha256")."""
        return self.name.lower()

    @property
    def size(self) -> int:
        """Bytes in a digest."""
        return _SIZES[self]

    @property
    def primitive(self) -> hashes.HashAlgorithm:
        """The same algorithm as `cryptography` names it."""
        return _PRIMITIVES[self]

    def digest(self, data: bytes) -> bytes:
        """Hash some bytes."""
        return _CONSTRUCTORS[self](data).digest()


class Curve(IntEnum):
    """An elliptic curve of the keys that we read."""

    P256 = 0x0003
    P384 = 0x0004
    P521 = 0x0005

    @classmethod
    def of(cls, number: int, what: str) -> Curve:
        """Give the curve with this TPM_ECC_CURVE.

        Raises:
            MalformedError: it is not a curve that we read.
        """
        try:
            return _CURVES[number]
        except KeyError:
            raise MalformedError(f"{what}: {number:#06x} is not an elliptic curve known here") from None

    @property
    def primitive(self) -> ec.EllipticCurve:
        """The same curve as `cryptography` names it."""
        return _CURVE_PRIMITIVES[self]

    @property
    def coordinate_size(self) -> int:
        """Bytes in a coordinate."""
        return (_CURVE_PRIMITIVES[self].key_size + 7) // 8


class KeyType(IntEnum):
    """Asymmetric key types (TPMI_ALG_PUBLIC)."""

    RSA = 0x0001
    ECC = 0x0023


class SignatureScheme(IntEnum):
    """Signature schemes in which a quote may be signed (TPMI_ALG_SIG_SCHEME)."""

    RSASSA = 0x0014
    RSAPSS = 0x0016
    ECDSA = 0x0018

    @property
    def key_type(self) -> KeyType:
        """The kind of key that signs so."""
        return KeyType.ECC if self is SignatureScheme.ECDSA else KeyType.RSA


_HASHES: Final[Mapping[int, HashAlgorithm]] = {int(algorithm): algorithm for algorithm in HashAlgorithm}
_CURVES: Final[Mapping[int, Curve]] = {int(curve): curve for curve in Curve}
_SIZES: Final[Mapping[HashAlgorithm, int]] = {
    HashAlgorithm.SHA1: 20,
    HashAlgorithm.SHA256: 32,
    HashAlgorithm.SHA384: 48,
    HashAlgorithm.SHA512: 64,
}
_CONSTRUCTORS: Final = {
    HashAlgorithm.SHA1: hashlib.sha1,
    HashAlgorithm.SHA256: hashlib.sha256,
    HashAlgorithm.SHA384: hashlib.sha384,
    HashAlgorithm.SHA512: hashlib.sha512,
}
_PRIMITIVES: Final[Mapping[HashAlgorithm, hashes.HashAlgorithm]] = {
    HashAlgorithm.SHA1: hashes.SHA1(),  # noqa: S303 - replay of old logs only; signatures over SHA-1 are refused
    HashAlgorithm.SHA256: hashes.SHA256(),
    HashAlgorithm.SHA384: hashes.SHA384(),
    HashAlgorithm.SHA512: hashes.SHA512(),
}
_CURVE_PRIMITIVES: Final[Mapping[Curve, ec.EllipticCurve]] = {
    Curve.P256: ec.SECP256R1(),
    Curve.P384: ec.SECP384R1(),
    Curve.P521: ec.SECP521R1(),
}
