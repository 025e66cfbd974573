# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Digests of authorisation policies, computed without a TPM.

After TPM 2.0 Library, Part 1 "Architecture", 19.7, and Part 3 "Commands", 23.4 (PolicySecret) and 23.7 (PolicyPCR).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.commands import Command
from attestation.tpm.structures import PcrSelection

if TYPE_CHECKING:
    from collections.abc import Mapping


def policy_secret_digest(entity: int, algorithm: HashAlgorithm = HashAlgorithm.SHA256) -> bytes:
    """Policy that is fulfilled by knowing the authorisation value of an entity, e.g. a hierarchy."""
    start = bytes(algorithm.size)
    extended = algorithm.digest(start + struct.pack(">II", Command.POLICY_SECRET, entity))
    return algorithm.digest(extended)  # the second step takes in the policy reference, which is empty


def policy_pcr_digest(pcrs: Mapping[int, bytes], algorithm: HashAlgorithm = HashAlgorithm.SHA256) -> bytes:
    """Policy that is fulfilled while registers have these values.

    Args:
        pcrs: register index → value.
        algorithm: the bank, and the hash of the policy.
    """
    start = bytes(algorithm.size)
    selection = PcrSelection.of(pcrs, algorithm).to_bytes()
    values = algorithm.digest(b"".join(pcrs[index] for index in sorted(pcrs)))
    return algorithm.digest(start + struct.pack(">I", Command.POLICY_PCR) + selection + values)
