# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Small structures that several parts of TPM 2.0 share: hierarchies, sized buffers, selections of registers.

After TPM 2.0 Library, Part 2 "Structures", 9.13 (TPMI_RH_HIERARCHY), 10.4 (TPM2B) and 10.9 (TPML_PCR_SELECTION).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from attestation.tpm.algorithms import HashAlgorithm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attestation.reader import Reader

MAX_BANKS: Final = 16
SELECT_SIZE: Final = 3  # bytes of the bit map that we send: registers 0 to 23
MAX_SELECT_SIZE: Final = 4


class Hierarchy(IntEnum):
    """Whose seed a primary key grows from (TPMI_RH_HIERARCHY)."""

    OWNER = 0x40000001
    ENDORSEMENT = 0x4000000B
    PLATFORM = 0x4000000C


def sized(data: bytes) -> bytes:
    """Put the 16-bit length in front (a TPM2B)."""
    return struct.pack(">H", len(data)) + data


@dataclass(frozen=True, slots=True)
class PcrSelection:
    """Registers of one bank (TPMS_PCR_SELECTION).

    Attributes:
        bank: TPM_ALG_ID of the bank.
        mask: bit n is set when register n is selected.
    """

    bank: int
    mask: int

    @classmethod
    def of(cls, registers: Iterable[int], bank: HashAlgorithm = HashAlgorithm.SHA256) -> PcrSelection:
        """Select registers by index."""
        mask = 0
        for index in registers:
            mask |= 1 << index
        return cls(bank, mask)

    @property
    def registers(self) -> tuple[int, ...]:
        """Selected indexes, ascending."""
        return _registers(self.mask)

    def to_bytes(self) -> bytes:
        """Give a TPML_PCR_SELECTION that holds only this selection."""
        return struct.pack(">IHB", 1, self.bank, SELECT_SIZE) + self.mask.to_bytes(SELECT_SIZE, "little")


@lru_cache(maxsize=64)  # nodes of a cluster all quote the same few selections
def _registers(mask: int) -> tuple[int, ...]:
    return tuple(index for index in range(mask.bit_length()) if mask >> index & 1)


def read_pcr_selections(reader: Reader) -> tuple[PcrSelection, ...]:
    """Read a TPML_PCR_SELECTION."""
    count = reader.u32("number of banks")
    if count > MAX_BANKS:
        reader.fail(f"{count} banks, at most {MAX_BANKS} are read")
    return tuple(_read_selection(reader) for _ in range(count))


def _read_selection(reader: Reader) -> PcrSelection:
    bank, size = reader.u16("bank"), reader.u8("size of the selection")
    if size > MAX_SELECT_SIZE:
        reader.fail(f"selection of {size} bytes, at most {MAX_SELECT_SIZE} are read")
    return PcrSelection(bank, int.from_bytes(reader.take(size, "selection"), "little"))
