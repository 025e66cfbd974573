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
    from collections.abc import Callable, Mapping
    from typing import Self

ALG_AES: Final = 0x0006
ALG_NULL: Final = 0x0010
ALG_CFB: Final = 0x0043


class HashAlgorithm(IntEnum):
    """A hash that this library computes; also the name of a bank of registers.

    Attributes:
        size: bytes in a digest.
        primitive: the same algorithm as `cryptography` names it.
        function: the same algorithm as hashlib names it.
    """

    SHA1 = 0x0004, hashlib.sha1, hashes.SHA1()  # noqa: S303 - to replay old logs; signatures over it are refused
    SHA256 = 0x000B, hashlib.sha256, hashes.SHA256()
    SHA384 = 0x000C, hashlib.sha384, hashes.SHA384()
    SHA512 = 0x000D, hashlib.sha512, hashes.SHA512()

    size: int
    primitive: hashes.HashAlgorithm
    function: Callable[[bytes], hashlib._Hash]

    def __new__(cls, number: int, function: Callable[[bytes], hashlib._Hash], primitive: hashes.HashAlgorithm) -> Self:
        """Make a member: the integer is the TPM_ALG_ID."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.size = primitive.digest_size
        member.primitive = primitive
        member.function = function
        return member

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

    def digest(self, data: bytes) -> bytes:
        """Hash some bytes."""
        return self.function(data).digest()


class Curve(IntEnum):
    """An elliptic curve of the keys that we read.

    Attributes:
        coordinate_size: bytes in a coordinate.
        primitive: the same curve as `cryptography` names it.
    """

    P256 = 0x0003, ec.SECP256R1()
    P384 = 0x0004, ec.SECP384R1()
    P521 = 0x0005, ec.SECP521R1()

    coordinate_size: int
    primitive: ec.EllipticCurve

    def __new__(cls, number: int, primitive: ec.EllipticCurve) -> Self:
        """Make a member: the integer is the TPM_ECC_CURVE."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.coordinate_size = (primitive.key_size + 7) // 8
        member.primitive = primitive
        return member

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
