# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Quotes: what a TPM signs about its registers (TPMS_ATTEST with TPMS_QUOTE_INFO). Parsing only, no cryptography.

After TPM 2.0 Library, Part 2 "Structures", 10.12.12.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from attestation.errors import MalformedError
from attestation.tpm.structures import MAX_BANKS, MAX_SELECT_SIZE, PcrSelection

MAGIC: Final = 0xFF544347  # TPM_GENERATED_VALUE: a restricted key signs nothing that starts so, unless the TPM made it
ATTEST_QUOTE: Final = 0x8018  # TPM_ST_ATTEST_QUOTE
MAX_SIZE: Final = 1024

_HEADER: Final = struct.Struct(">IHH")
_SIZE: Final = struct.Struct(">H")
_STATE: Final = struct.Struct(">QIIBQI")
_SELECTION: Final = struct.Struct(">HB")


@dataclass(frozen=True, slots=True)
class Quote:
    """A quote.

    Attributes:
        magic: 0xFF544347 in everything that a TPM itself made.
        qualified_signer: qualified Name of the key that signed.
        extra_data: what the caller asked to be signed along: nonce or binding.
        clock: milliseconds for which the TPM was powered.
        reset_count: number of resets; obfuscated for keys outside the endorsement and platform hierarchies.
        restart_count: number of restarts and resumes since the last reset.
        safe: whether no greater clock value was ever reported.
        firmware_version: vendor's number.
        selections: registers that were quoted, per bank.
        pcr_digest: hash over the values of those registers, in order.
    """

    magic: int
    qualified_signer: bytes
    extra_data: bytes
    clock: int
    reset_count: int
    restart_count: int
    safe: bool
    firmware_version: int
    selections: tuple[PcrSelection, ...]
    pcr_digest: bytes


@dataclass(frozen=True, slots=True)
class SignedQuote:
    """A quote as the TPM returns it.

    Attributes:
        attest: TPMS_ATTEST.
        signature: TPMT_SIGNATURE over it.
    """

    attest: bytes
    signature: bytes


def parse_quote(data: bytes) -> Quote:
    """Parse a TPMS_ATTEST that holds a quote.

    Raises:
        MalformedError: it is truncated, has trailing bytes, or is another kind of attestation.
    """
    # unpack_from refuses to read behind the end; a slice that runs over it moves the offset behind the end, where the
    # next read or the last comparison refuses. So nothing is ever read that is not there.
    if len(data) > MAX_SIZE:
        raise MalformedError(f"TPM quote has {len(data)} bytes, at most {MAX_SIZE} are read")
    try:
        magic, kind, size = _HEADER.unpack_from(data)
        if kind != ATTEST_QUOTE:
            raise MalformedError(f"TPM attestation is of type {kind:#06x}, a quote is {ATTEST_QUOTE:#06x}")
        offset = 8 + size
        signer = data[8:offset]
        (size,) = _SIZE.unpack_from(data, offset)
        start, offset = offset + 2, offset + 2 + size
        extra = data[start:offset]
        clock, resets, restarts, safe, firmware, banks = _STATE.unpack_from(data, offset)
        selections, offset = _selections(data, offset + _STATE.size, banks)
        (size,) = _SIZE.unpack_from(data, offset)
        start, offset = offset + 2, offset + 2 + size
    except struct.error:
        raise MalformedError(f"TPM quote of {len(data)} bytes is truncated") from None
    if offset != len(data):
        raise MalformedError(f"TPM quote has {len(data)} bytes, its format says {offset}")
    if safe > 1:
        raise MalformedError(f"TPM quote: the flag for a safe clock is {safe}, expected 0 or 1")
    return Quote(magic, signer, extra, clock, resets, restarts, bool(safe), firmware, selections, data[start:offset])


def _selections(data: bytes, offset: int, banks: int) -> tuple[tuple[PcrSelection, ...], int]:
    if banks > MAX_BANKS:
        raise MalformedError(f"TPM quote: {banks} banks, at most {MAX_BANKS} are read")
    selections = []
    for _ in range(banks):
        bank, size = _SELECTION.unpack_from(data, offset)
        if size > MAX_SELECT_SIZE:
            raise MalformedError(f"TPM quote: selection of {size} bytes, at most {MAX_SELECT_SIZE} are read")
        start, offset = offset + 3, offset + 3 + size
        selections.append(PcrSelection(bank, int.from_bytes(data[start:offset], "little")))
    return tuple(selections), offset
