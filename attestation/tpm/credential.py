# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Credentials: a secret that a TPM releases only if it holds both an endorsement key and a given attestation key.

The verifier's half, TPM2_MakeCredential in software. After TPM 2.0 Library, Part 1 "Architecture", 24.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from attestation.errors import NotGenuineError
from attestation.tpm.algorithms import ALG_AES, ALG_CFB, KeyType
from attestation.tpm.kdf import aes_cfb_encrypt, kdfa
from attestation.tpm.public import ObjectAttributes
from attestation.tpm.secret_exchange import share_seed
from attestation.tpm.structures import sized

if TYPE_CHECKING:
    from attestation.tpm.public import PublicArea, Symmetric

MIN_RSA_BITS: Final = 2048
MIN_ECC_BITS: Final = 256
AES_BITS: Final = (128, 192, 256)
_REQUIRED: Final = (
    ObjectAttributes.FIXED_TPM
    | ObjectAttributes.FIXED_PARENT
    | ObjectAttributes.SENSITIVE_DATA_ORIGIN
    | ObjectAttributes.RESTRICTED
    | ObjectAttributes.DECRYPT
)


@dataclass(frozen=True, slots=True)
class Credential:
    """A wrapped secret.

    Attributes:
        blob: contents of TPM2B_ID_OBJECT: integrity, then the encrypted secret.
        encrypted_seed: contents of TPM2B_ENCRYPTED_SECRET.
    """

    blob: bytes
    encrypted_seed: bytes


def make_credential(endorsement_key: PublicArea, name: bytes, secret: bytes) -> Credential:
    """Wrap a secret for the TPM that holds the endorsement key and an attestation key of this Name.

    Whoever gives the secret back has both in one TPM. That the endorsement key is a TPM's, its certificate says.

    Args:
        endorsement_key: RSA or ECC, as the TPM describes it.
        name: Name of the attestation key.
        secret: at most as long as the hash of the endorsement key's Name; 32 random bytes are right.

    Raises:
        NotGenuineError: the key is not one that a TPM keeps for unwrapping credentials.
        ValueError: the secret is too long.
    """
    algorithm = endorsement_key.name_algorithm
    if len(secret) > algorithm.size:
        message = f"a credential holds at most {algorithm.size} bytes here"
        raise ValueError(message)
    cipher = _wrapping_cipher(endorsement_key)
    shared = share_seed(endorsement_key, b"IDENTITY")
    storage_key = kdfa(algorithm, shared.seed, b"STORAGE", name, b"", cipher.key_bits // 8)
    identity = aes_cfb_encrypt(storage_key, sized(secret))
    integrity_key = kdfa(algorithm, shared.seed, b"INTEGRITY", b"", b"", algorithm.size)
    integrity = hmac.digest(integrity_key, identity + name, algorithm.label)
    return Credential(sized(integrity) + identity, shared.encrypted)


def _wrapping_cipher(key: PublicArea) -> Symmetric:
    if key.attributes & (_REQUIRED | ObjectAttributes.SIGN) != _REQUIRED:
        raise NotGenuineError(
            "tpm.ek_attributes",
            expected="a restricted decryption key, made and kept by the TPM",
            got=f"a key with {key.attributes!r}",
        )
    if key.key.key_size < (MIN_RSA_BITS if key.key_type is KeyType.RSA else MIN_ECC_BITS):
        raise NotGenuineError(
            "tpm.ek_strength", expected="P-256 or RSA-2048, or stronger", got=f"{key.key.key_size} bits"
        )
    cipher = key.symmetric
    if cipher is None or (cipher.algorithm, cipher.mode) != (ALG_AES, ALG_CFB) or cipher.key_bits not in AES_BITS:
        raise NotGenuineError("tpm.ek_cipher", expected="AES in CFB mode", got=repr(cipher))
    return cipher
