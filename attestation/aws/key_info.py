# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How AWS's devices speak of an attestation key that an instance shows them.

They sign what the instance asks for. So a key is worth no more than the software that asked, unless something else
says what that software is.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from attestation.tpm.attestation_key import AttestationKey


def key_info(key: AttestationKey) -> bytes:
    """Key as SubjectPublicKeyInfo, DER: the user data of an attestation document."""
    return key.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_report_data(key: AttestationKey) -> bytes:
    """SHA-512 of that, 64 bytes: the REPORT_DATA of an SNP report."""
    return hashlib.sha512(key_info(key)).digest()
