# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Public areas of asymmetric keys (TPMT_PUBLIC): parse, name, and write.

After TPM 2.0 Library, Part 2 "Structures", 12.2.4; the Name of an object after Part 1 "Architecture", 16.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from attestation.errors import MalformedError
from attestation.reader import Reader
from attestation.tpm.algorithms import ALG_NULL, Curve, HashAlgorithm, KeyType

if TYPE_CHECKING:
    from typing import TypeAlias

    PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

DEFAULT_EXPONENT: Final = 65537  # what an exponent of 0 in a public area stands for
MAX_RSA_BYTES: Final = 512
_RSAES: Final = 0x0015  # the one asymmetric scheme that names no hash
_ECDAA: Final = 0x001A  # the one asymmetric scheme with a counter after its hash


class ObjectAttributes(IntFlag):
    """What a TPM will do with a key (TPMA_OBJECT). Bits that are not named here are kept."""

    FIXED_TPM = 1 << 1
    ST_CLEAR = 1 << 2
    FIXED_PARENT = 1 << 4
    SENSITIVE_DATA_ORIGIN = 1 << 5
    USER_WITH_AUTH = 1 << 6
    ADMIN_WITH_POLICY = 1 << 7
    NO_DA = 1 << 10
    ENCRYPTED_DUPLICATION = 1 << 11
    RESTRICTED = 1 << 16
    DECRYPT = 1 << 17
    SIGN = 1 << 18
    X509_SIGN = 1 << 19


@dataclass(frozen=True, slots=True)
class Symmetric:
    """The cipher with which a storage or endorsement key protects what it wraps (TPMT_SYM_DEF_OBJECT).

    Attributes:
        algorithm: TPM_ALG_ID (0x0006 is AES).
        key_bits: length of the key.
        mode: TPM_ALG_ID (0x0043 is CFB).
    """

    algorithm: int
    key_bits: int
    mode: int


@dataclass(frozen=True, slots=True)
class PublicArea:
    """The public half of an RSA or ECC key, with what the TPM promises about the private half.

    Attributes:
        raw: the TPMT_PUBLIC itself.
        key_type: RSA or ECC.
        name_algorithm: hash of the Name.
        attributes: what the TPM will do with the key.
        policy: digest of the authorisation policy; may be empty.
        symmetric: cipher of a storage key; None for signing keys.
        scheme: TPM_ALG_ID of the scheme it is confined to; 0x0010 is none.
        scheme_hash: TPM_ALG_ID of the hash of the scheme; 0x0010 is none.
        key: the public key.
    """

    raw: bytes
    key_type: KeyType
    name_algorithm: HashAlgorithm
    attributes: ObjectAttributes
    policy: bytes
    symmetric: Symmetric | None
    scheme: int
    scheme_hash: int
    key: PublicKey

    @property
    def name(self) -> bytes:
        """The Name: algorithm identifier, then hash of the public area."""
        return _name(self.raw, self.name_algorithm)


def parse_public(data: bytes) -> PublicArea:
    """Parse a TPMT_PUBLIC, without the length that a TPM2B_PUBLIC has in front.

    Raises:
        MalformedError: it is not the public area of an RSA or ECC key, or its key is not a valid one.
    """
    reader = Reader(data, "TPM public area")
    key_type = _key_type(reader)
    name_algorithm = HashAlgorithm.of(reader.u16("name algorithm"), reader.what)
    attributes = ObjectAttributes(reader.u32("attributes"))
    policy = reader.sized16("policy")
    if policy and len(policy) != name_algorithm.size:
        reader.fail(f"policy of {len(policy)} bytes, expected {name_algorithm.size}")
    symmetric = _read_symmetric(reader)
    scheme = reader.u16("scheme")
    scheme_hash = _read_scheme_hash(reader, scheme)
    try:
        key = _read_rsa(reader) if key_type is KeyType.RSA else _read_ecc(reader)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedError(f"{reader.what} holds no valid {key_type.name} key: {error}") from None
    reader.end()
    return PublicArea(data, key_type, name_algorithm, attributes, policy, symmetric, scheme, scheme_hash, key)


def name_of(public: bytes) -> bytes:
    """Compute the Name of any object from its TPMT_PUBLIC; it need not be one that `parse_public` reads.

    Raises:
        MalformedError: it names no hash that we compute.
    """
    return _name(public, HashAlgorithm.of(int.from_bytes(public[2:4], "big"), "TPM public area"))


def _name(public: bytes, algorithm: HashAlgorithm) -> bytes:
    return struct.pack(">H", algorithm) + algorithm.digest(public)


def _key_type(reader: Reader) -> KeyType:
    number = reader.u16("type")
    try:
        return KeyType(number)
    except ValueError:
        raise MalformedError(f"{reader.what}: type {number:#06x} is neither RSA nor ECC") from None


def _read_symmetric(reader: Reader) -> Symmetric | None:
    algorithm = reader.u16("symmetric algorithm")
    return None if algorithm == ALG_NULL else Symmetric(algorithm, reader.u16("key bits"), reader.u16("mode"))


def _read_scheme_hash(reader: Reader, scheme: int) -> int:
    if scheme in (ALG_NULL, _RSAES):
        return ALG_NULL
    scheme_hash = reader.u16("hash of the scheme")
    if scheme == _ECDAA:
        reader.u16("counter of the scheme")
    return scheme_hash


def _read_rsa(reader: Reader) -> rsa.RSAPublicKey:
    bits = reader.u16("key bits")
    exponent = reader.u32("exponent") or DEFAULT_EXPONENT
    modulus = reader.sized16("modulus")
    if not 0 < len(modulus) <= MAX_RSA_BYTES or len(modulus) * 8 != bits:
        reader.fail(f"modulus of {len(modulus)} bytes in a key of {bits} bits")
    if not modulus[-1] & 1:
        reader.fail("holds no valid RSA key: its modulus is even")
    return rsa.RSAPublicNumbers(exponent, int.from_bytes(modulus, "big")).public_key()


def _read_ecc(reader: Reader) -> ec.EllipticCurvePublicKey:
    curve = Curve.of(reader.u16("curve"), reader.what)
    if reader.u16("key derivation") != ALG_NULL:
        reader.u16("hash of the key derivation")
    return ecc_public_key(curve, reader.sized16("x"), reader.sized16("y"))


def ecc_public_key(curve: Curve, x: bytes, y: bytes) -> ec.EllipticCurvePublicKey:
    """Make a key of coordinates, big endian; TPMs may leave leading zeros out.

    Raises:
        MalformedError: a coordinate is too long.
        ValueError: the point is not on the curve.
    """
    size = curve.coordinate_size
    if len(x) > size or len(y) > size:
        raise MalformedError(f"ECC point: coordinates of {len(x)} and {len(y)} bytes, at most {size} on {curve.name}")
    point = b"\x04" + x.rjust(size, b"\0") + y.rjust(size, b"\0")
    return ec.EllipticCurvePublicKey.from_encoded_point(curve.primitive, point)
