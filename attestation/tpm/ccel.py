# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Logs of confidential guests without a TPM: the ACPI table CCEL, its data area, and TDX registers.

The area holds a crypto-agile log in which register n + 1 is RTMR n, and is filled up behind it. After ACPI 6.5, 5.2.34
and "Guest-Host-Communication Interface for Intel TDX" 1.5, 4.3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from attestation.reader import Reader
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.replay import replay

if TYPE_CHECKING:
    from attestation.tpm.event_log import EventLog

SIGNATURE: Final = b"CCEL"
TABLE_SIZE: Final = 56
CREATOR_SIZE: Final = 26  # OEM and creator names and revisions
CC_TYPE_TDX: Final = 2
RTMR_COUNT: Final = 4


@dataclass(frozen=True, slots=True)
class CcelTable:
    """The ACPI table.

    Attributes:
        cc_type: kind of the guest; 1 is SEV, 2 is TDX.
        cc_subtype: the vendor's.
        log_size: bytes of the area.
        log_address: physical address of the area.
    """

    cc_type: int
    cc_subtype: int
    log_size: int
    log_address: int


def parse_ccel_table(data: bytes) -> CcelTable:
    """Parse the ACPI table, as Linux shows it in `/sys/firmware/acpi/tables/CCEL`.

    Raises:
        MalformedError: it is another table, has another size, or its checksum is wrong.
    """
    reader = Reader(data, "CCEL table", "little")
    reader.expect(SIGNATURE, reader.take(len(SIGNATURE), "signature"), "signature")
    reader.expect(TABLE_SIZE, reader.u32("length"), "length")
    reader.u8("revision")
    reader.u8("checksum")
    reader.take(CREATOR_SIZE, "names and revisions")
    cc_type, cc_subtype = reader.u8("type"), reader.u8("subtype")
    reader.u16("reserved")
    table = CcelTable(cc_type, cc_subtype, reader.u64("size of the log"), reader.u64("address of the log"))
    reader.end()
    reader.expect(0, sum(data) & 0xFF, "sum of all bytes")
    return table


def replay_rtmrs(log: EventLog) -> dict[int, bytes]:
    """Compute the four runtime measurement registers, number → 48 bytes, zero where nothing was measured.

    Raises:
        MalformedError: the log has no SHA-384 digests.
    """
    registers = replay(log, HashAlgorithm.SHA384)
    untouched = bytes(HashAlgorithm.SHA384.size)
    return {number: registers.get(number + 1, untouched) for number in range(RTMR_COUNT)}
