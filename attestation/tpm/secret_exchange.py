# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A fresh seed that only the holder of a decryption key can learn: the way into credentials and salted sessions.

After TPM 2.0 Library, Part 1 "Architecture", B.10 (RSA, OAEP with a label) and C.6 (ECC, one-pass Diffie-Hellman).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from attestation.tpm.kdf import kdfe
from attestation.tpm.structures import sized

if TYPE_CHECKING:
    from attestation.tpm.public import PublicArea


@dataclass(frozen=True, slots=True)
class SharedSeed:
    """A seed and how it travels.

    Attributes:
        seed: the secret; as long as the hash of the key's Name.
        encrypted: contents of TPM2B_ENCRYPTED_SECRET.
    """

    seed: bytes = field(repr=False)
    encrypted: bytes


def share_seed(recipient: PublicArea, label: bytes) -> SharedSeed:
    """Make a seed for the TPM that holds this key.

    Args:
        recipient: a decryption key of the TPM.
        label: purpose, without the zero byte at its end ("IDENTITY", "SECRET").
    """
    algorithm = recipient.name_algorithm
    key = recipient.key
    if isinstance(key, rsa.RSAPublicKey):
        seed = os.urandom(algorithm.size)
        oaep = padding.OAEP(padding.MGF1(algorithm.primitive), algorithm.primitive, label + b"\0")
        return SharedSeed(seed, key.encrypt(seed, oaep))
    ephemeral = ec.generate_private_key(key.curve)
    (own_x, own_y), (their_x, _) = _coordinates(ephemeral.public_key()), _coordinates(key)
    seed = kdfe(algorithm, ephemeral.exchange(ec.ECDH(), key), label, own_x, their_x, algorithm.size)
    return SharedSeed(seed, sized(own_x) + sized(own_y))


def _coordinates(key: ec.EllipticCurvePublicKey) -> tuple[bytes, bytes]:
    numbers, size = key.public_numbers(), (key.key_size + 7) // 8
    return numbers.x.to_bytes(size, "big"), numbers.y.to_bytes(size, "big")
