# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What devices sign so that their evidence answers one binding of 32 bytes.

A TPM's quote has room for exactly that. Reports of SEV-SNP and TDX have 64 bytes. Where two devices speak, one of them
signs what the other said, or one of them vouches for the other's key.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from attestation.case import Case

REPORT_DATA_SIZE: Final = 64  # bytes, on SEV-SNP and on TDX


def report_data(binding: bytes) -> bytes:
    """What a report signs: the binding, or a hash that stands for it, then zeros."""
    return binding.ljust(REPORT_DATA_SIZE, b"\0")


def expected_report_data(case: Case) -> bytes | None:
    """What a report must carry to answer the case; None for recorded evidence."""
    return report_data(case.binding) if case.binding is not None else None


def quote_beside_report(binding: bytes, report: bytes) -> bytes:
    """What a quote signs that must stand beside one report and no other: SHA-256(binding ‖ SHA-256(report))."""
    return hashlib.sha256(binding + hashlib.sha256(report).digest()).digest()
