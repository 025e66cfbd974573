# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Public areas that we hand to a TPM: which key to make.

A primary key is a function of its template and of the hierarchy's seed: the same template gives the same key after
every boot, so nothing has to be stored. That makes these bytes a format: changing one changes the identity of every
node. Attestation keys after TPM 2.0 Library, Part 1, 31; endorsement keys after "TCG EK Credential Profile for TPM
Family 2.0" 2.5, B.3.3 (L-1) and B.3.4 (L-2).
"""

from __future__ import annotations

import struct
from typing import Final

from attestation.tpm.algorithms import ALG_AES, ALG_CFB, ALG_NULL, Curve, HashAlgorithm, KeyType, SignatureScheme
from attestation.tpm.policies import policy_secret_digest
from attestation.tpm.public import ObjectAttributes
from attestation.tpm.structures import Hierarchy, sized

AK_ATTRIBUTES: Final = (
    ObjectAttributes.FIXED_TPM
    | ObjectAttributes.FIXED_PARENT
    | ObjectAttributes.SENSITIVE_DATA_ORIGIN
    | ObjectAttributes.USER_WITH_AUTH
    | ObjectAttributes.NO_DA
    | ObjectAttributes.RESTRICTED
    | ObjectAttributes.SIGN
)
RSA_BITS: Final = 2048
ENDORSEMENT_POLICY: Final = policy_secret_digest(Hierarchy.ENDORSEMENT)  # the profile's "PolicyA"
_STORAGE_ATTRIBUTES: Final = (
    ObjectAttributes.FIXED_TPM
    | ObjectAttributes.FIXED_PARENT
    | ObjectAttributes.SENSITIVE_DATA_ORIGIN
    | ObjectAttributes.RESTRICTED
    | ObjectAttributes.DECRYPT
)
_ENDORSEMENT_ATTRIBUTES: Final = _STORAGE_ATTRIBUTES | ObjectAttributes.ADMIN_WITH_POLICY
_AES_128_CFB: Final = struct.pack(">HHH", ALG_AES, 128, ALG_CFB)


def ecc_attestation_key(
    *,
    attributes: ObjectAttributes = AK_ATTRIBUTES,
    hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256,
    x: bytes = b"",
    y: bytes = b"",
) -> bytes:
    """Write the TPMT_PUBLIC of a P-256 attestation key (ECDSA).

    Args:
        attributes: what the TPM may do with it.
        hash_algorithm: hash of the signatures; the Name is always SHA-256.
        x: coordinate, empty in a template.
        y: coordinate, empty in a template.
    """
    scheme = struct.pack(">HH", SignatureScheme.ECDSA, hash_algorithm)
    return _signing_key(
        KeyType.ECC, attributes, scheme + struct.pack(">HH", Curve.P256, ALG_NULL) + sized(x) + sized(y)
    )


def rsa_attestation_key(
    *,
    attributes: ObjectAttributes = AK_ATTRIBUTES,
    scheme: SignatureScheme = SignatureScheme.RSASSA,
    hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256,
    modulus: bytes = b"",
) -> bytes:
    """Write the TPMT_PUBLIC of an RSA-2048 attestation key (exponent 65537).

    Args:
        attributes: what the TPM may do with it.
        scheme: RSASSA, or RSAPSS.
        hash_algorithm: hash of the signatures; the Name is always SHA-256.
        modulus: big endian, empty in a template.
    """
    signing = struct.pack(">HH", scheme, hash_algorithm)
    return _signing_key(KeyType.RSA, attributes, signing + struct.pack(">HI", RSA_BITS, 0) + sized(modulus))


def _signing_key(key_type: KeyType, attributes: ObjectAttributes, parameters: bytes) -> bytes:
    no_policy = sized(b"")
    return (
        struct.pack(">HHI", key_type, HashAlgorithm.SHA256, attributes)
        + no_policy
        + struct.pack(">H", ALG_NULL)  # no symmetric cipher: it wraps nothing
        + parameters
    )


def _ecc_decryption_key(attributes: ObjectAttributes, policy: bytes, coordinate: bytes) -> bytes:
    head = struct.pack(">HHI", KeyType.ECC, HashAlgorithm.SHA256, attributes)
    parameters = _AES_128_CFB + struct.pack(">HHH", ALG_NULL, Curve.P256, ALG_NULL)
    return head + sized(policy) + parameters + sized(coordinate) + sized(coordinate)


def ecc_storage_key() -> bytes:
    """Write the TPMT_PUBLIC of a P-256 storage primary key, under which secrets are sealed."""
    attributes = _STORAGE_ATTRIBUTES | ObjectAttributes.USER_WITH_AUTH | ObjectAttributes.NO_DA
    return _ecc_decryption_key(attributes, b"", b"")


def ecc_endorsement_key() -> bytes:
    """Write the TPMT_PUBLIC of the P-256 endorsement key, template L-2."""
    zero = bytes(Curve.P256.coordinate_size)
    return _ecc_decryption_key(_ENDORSEMENT_ATTRIBUTES, ENDORSEMENT_POLICY, zero)


def rsa_endorsement_key() -> bytes:
    """Write the TPMT_PUBLIC of the RSA-2048 endorsement key, template L-1."""
    parameters = _AES_128_CFB + struct.pack(">HHI", ALG_NULL, RSA_BITS, 0) + sized(bytes(RSA_BITS // 8))
    head = struct.pack(">HHI", KeyType.RSA, HashAlgorithm.SHA256, _ENDORSEMENT_ATTRIBUTES)
    return head + sized(ENDORSEMENT_POLICY) + parameters
