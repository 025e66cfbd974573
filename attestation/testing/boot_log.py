# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A firmware made of software: it measures, and writes down what it measured.

    log = BootLog(HashAlgorithm.SHA256)
    log.measure(4, EventType.EV_EFI_BOOT_SERVICES_APPLICATION, b"boot loader")
    tpm.pcrs |= log.registers
    tpm.event_log = log.to_bytes()

Format: "TCG PC Client Platform Firmware Profile" 1.06, 10.2.2 (crypto-agile), with one bank.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attestation.tpm.event_log import SPEC_ID_SIGNATURE
from attestation.tpm.event_types import EventType

if TYPE_CHECKING:
    from attestation.tpm.algorithms import HashAlgorithm

SHA1_SIZE = 20


@dataclass(slots=True)
class BootLog:
    """What a firmware measured.

    Attributes:
        algorithm: the bank.
        registers: index → value; in a log of a TD the number of the RTMR plus one.
        events: encoded, in order.
    """

    algorithm: HashAlgorithm
    registers: dict[int, bytes] = field(default_factory=dict)
    events: list[bytes] = field(default_factory=list)

    def measure(self, register: int, kind: EventType, data: bytes) -> None:
        """Extend a register with the hash of some data, and write the data down."""
        digest = self.algorithm.digest(data)
        before = self.registers.get(register, bytes(self.algorithm.size))
        self.registers[register] = self.algorithm.digest(before + digest)
        head = struct.pack("<IIIH", register, kind, 1, self.algorithm)
        self.events.append(head + digest + struct.pack("<I", len(data)) + data)

    def to_bytes(self) -> bytes:
        """Give the log."""
        platform_class, version, integers_of_64_bits = bytes(4), b"\0\x02\0", b"\x02"
        algorithms = struct.pack("<IHH", 1, self.algorithm, self.algorithm.size)
        no_vendor_part = b"\0"
        spec_id = SPEC_ID_SIGNATURE + platform_class + version + integers_of_64_bits + algorithms + no_vendor_part
        head = struct.pack("<II", 0, EventType.EV_NO_ACTION) + bytes(SHA1_SIZE) + struct.pack("<I", len(spec_id))
        return head + spec_id + b"".join(self.events)
