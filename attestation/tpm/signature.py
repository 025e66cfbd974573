# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Signatures as a TPM writes them (TPMT_SIGNATURE).

After TPM 2.0 Library, Part 2 "Structures", 11.3.4.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from attestation.errors import MalformedError
from attestation.tpm.algorithms import HashAlgorithm, SignatureScheme
from attestation.tpm.structures import sized

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_INTEGER_SIZE: Final = 66  # bytes of r or s on P-521
MAX_RSA_SIZE: Final = 512
_SCHEMES: Final[Mapping[int, SignatureScheme]] = {int(scheme): scheme for scheme in SignatureScheme}
_THREE_NUMBERS: Final = struct.Struct(">HHH")
_NUMBER: Final = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature and how it was made.

    Attributes:
        scheme: how it was made.
        hash_algorithm: over which hash.
        value: DER of r and s for ECDSA, as big as the modulus for RSA.
    """

    scheme: SignatureScheme
    hash_algorithm: HashAlgorithm
    value: bytes


def parse_signature(data: bytes) -> Signature:
    """Parse a TPMT_SIGNATURE.

    Raises:
        MalformedError: it is not one, or it is of a scheme that never signs quotes here.
    """
    # This and parse_quote are on the path of every verification: unpack_from is four times as fast as a Reader.
    # A slice that runs over the end leaves `end` behind the end of the data, so the one comparison bounds them all.
    try:
        scheme_number, hash_number, size = _THREE_NUMBERS.unpack_from(data)
        scheme = _SCHEMES[scheme_number]
        end = 6 + size
        value = data[6:end]
        if scheme is SignatureScheme.ECDSA:
            (s_size,) = _NUMBER.unpack_from(data, end)
            s_start, end = end + 2, end + 2 + s_size
            value = _der(value, data[s_start:end])
    except struct.error:
        raise MalformedError(f"TPM signature of {len(data)} bytes is truncated") from None
    except KeyError:
        raise MalformedError(f"TPM signature: scheme {scheme_number:#06x} is not RSASSA, RSAPSS or ECDSA") from None
    if end != len(data) or len(value) > MAX_RSA_SIZE:
        raise MalformedError(f"TPM signature has {len(data)} bytes, its format says {end}")
    return Signature(scheme, HashAlgorithm.of(hash_number, "TPM signature"), value)


def _der(r: bytes, s: bytes) -> bytes:
    if len(r) > MAX_INTEGER_SIZE or len(s) > MAX_INTEGER_SIZE:
        raise MalformedError(f"TPM signature: integers of {len(r)} and {len(s)} bytes, at most {MAX_INTEGER_SIZE}")
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


def rsassa_signature(raw: bytes, hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256) -> bytes:
    """Wrap a bare PKCS #1 v1.5 signature, as Azure's evidence holds it, into a TPMT_SIGNATURE."""
    return struct.pack(">HH", SignatureScheme.RSASSA, hash_algorithm) + sized(raw)


def rsapss_signature(raw: bytes, hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256) -> bytes:
    """Wrap a bare PSS signature into a TPMT_SIGNATURE."""
    return struct.pack(">HH", SignatureScheme.RSAPSS, hash_algorithm) + sized(raw)


def ecdsa_signature(r: int, s: int, size: int, hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256) -> bytes:
    """Write a TPMT_SIGNATURE of ECDSA.

    Args:
        r: first integer.
        s: second integer.
        size: bytes in a coordinate of the curve.
        hash_algorithm: over which hash.
    """
    integers = sized(r.to_bytes(size, "big")) + sized(s.to_bytes(size, "big"))
    return struct.pack(">HH", SignatureScheme.ECDSA, hash_algorithm) + integers
