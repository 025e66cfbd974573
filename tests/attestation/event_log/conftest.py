# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A log that tests write event by event."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

import pytest

NAMES = {0x04: "sha1", 0x0B: "sha256", 0x0C: "sha384"}


@dataclass
class LogWriter:
    """Writes logs as firmware does.

    Attributes:
        algorithms: TPM_ALG_ID of the banks; none for a log of TCG 1.2.
        data: the log so far.
    """

    algorithms: tuple[int, ...] = (0x04, 0x0B, 0x0C)
    data: bytes = field(default=b"", init=False)

    def __post_init__(self) -> None:
        """Begin with the record that announces the banks."""
        if self.algorithms:
            banks = b"".join(struct.pack("<HH", number, self.size(number)) for number in self.algorithms)
            spec_id = b"Spec ID Event03\0" + bytes(4) + b"\x00\x02\x00\x02" + struct.pack("<I", len(self.algorithms))
            self.sha1_event(0, 3, bytes(20), spec_id + banks + b"\0")

    @staticmethod
    def size(number: int) -> int:
        return hashlib.new(NAMES[number]).digest_size

    def sha1_event(self, register: int, kind: int, digest: bytes, data: bytes) -> None:
        self.data += struct.pack("<II", register, kind) + digest + struct.pack("<I", len(data)) + data

    def event(self, register: int, kind: int, data: bytes, *, measured: bytes | None = None) -> None:
        """Log an event; `measured` is what was hashed, the data unless given."""
        measured = data if measured is None else measured
        if not self.algorithms:
            self.sha1_event(register, kind, hashlib.sha1(measured).digest(), data)
            return
        digests = [
            struct.pack("<H", number) + hashlib.new(NAMES[number], measured).digest() for number in self.algorithms
        ]
        head = struct.pack("<III", register, kind, len(digests))
        self.data += head + b"".join(digests) + struct.pack("<I", len(data)) + data


@pytest.fixture
def log() -> LogWriter:
    """A crypto-agile log with three banks."""
    return LogWriter()


@pytest.fixture
def old_log() -> LogWriter:
    """A log of TCG 1.2."""
    return LogWriter(())
