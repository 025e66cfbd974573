# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The two key derivations of TPM 2.0 and the cipher mode that goes with them.

After TPM 2.0 Library, Part 1 "Architecture", 11.4.10: KDFa is SP 800-108 in counter mode over HMAC, KDFe is the
concatenation KDF of SP 800-56A; lengths are counted in bits, labels end with a zero byte.
"""

from __future__ import annotations

import hmac
import struct
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:  # before cryptography 47, where CFB moved; TPM 2.0 knows no other mode here
    from cryptography.hazmat.primitives.ciphers.modes import CFB

if TYPE_CHECKING:
    from attestation.tpm.algorithms import HashAlgorithm

AES_BLOCK: Final = 16


def kdfa(algorithm: HashAlgorithm, key: bytes, label: bytes, context_u: bytes, context_v: bytes, size: int) -> bytes:
    """Derive `size` bytes from a key and two contexts."""
    fixed = label + b"\0" + context_u + context_v + struct.pack(">I", size * 8)
    blocks = [
        hmac.digest(key, struct.pack(">I", counter) + fixed, algorithm.label)
        for counter in range(1, -(-size // algorithm.size) + 1)
    ]
    return b"".join(blocks)[:size]


def kdfe(algorithm: HashAlgorithm, secret: bytes, label: bytes, party_u: bytes, party_v: bytes, size: int) -> bytes:
    """Derive `size` bytes from a Diffie-Hellman secret and the x coordinates of both parties' keys."""
    fixed = secret + label + b"\0" + party_u + party_v
    blocks = [
        algorithm.digest(struct.pack(">I", counter) + fixed) for counter in range(1, -(-size // algorithm.size) + 1)
    ]
    return b"".join(blocks)[:size]


def aes_cfb_encrypt(key: bytes, data: bytes, *, iv: bytes = bytes(AES_BLOCK)) -> bytes:
    """Encrypt with AES in CFB mode; the keys here are used once, so the IV may be zero."""
    encryptor = Cipher(algorithms.AES(key), CFB(iv)).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def aes_cfb_decrypt(key: bytes, data: bytes, *, iv: bytes = bytes(AES_BLOCK)) -> bytes:
    """Decrypt what `aes_cfb_encrypt` made."""
    decryptor = Cipher(algorithms.AES(key), CFB(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()
