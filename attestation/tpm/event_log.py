# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Boot logs: what the firmware measured, in order. Parsing only; `replay` says what registers follow from them.

Two formats share the first record. After "TCG PC Client Platform Firmware Profile" 1.06: 10.2.1 (TCG 1.2, SHA-1) and
10.2.2 (crypto-agile, announced by a "Spec ID Event03" in the first record).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attestation.errors import MalformedError
from attestation.reader import Reader
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.event_types import EventType, event_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_SIZE: Final = 1024 * 1024
MAX_EVENTS: Final = 4096
MAX_ALGORITHMS: Final = 16
MAX_DIGEST_SIZE: Final = 64
SPEC_ID_SIGNATURE: Final = b"Spec ID Event03\0"
SPEC_ID_PREFIX: Final = 8  # bytes between the signature and the list of algorithms: class, version, size of integers


class LogFormat(StrEnum):
    """How a log is written."""

    TCG_1_2 = "TCG 1.2"
    CRYPTO_AGILE = "crypto-agile"


@dataclass(frozen=True, slots=True)
class Event:
    """One measurement.

    Attributes:
        register: PCR that was extended; in a log of a TDX guest the number of the RTMR plus one.
        type: what it reports; a plain number where the type is not known.
        digests: TPM_ALG_ID of a bank → what that bank was extended with.
        data: what the firmware says that it measured. Nothing vouches for it but a digest that is its hash.
    """

    register: int
    type: EventType | int
    digests: Mapping[int, bytes]
    data: bytes

    @property
    def type_name(self) -> str:
        """Name of the type, or its number."""
        return self.type.name if isinstance(self.type, EventType) else f"{self.type:#010x}"

    @property
    def extends(self) -> bool:
        """Whether the register was extended; records of type EV_NO_ACTION only inform."""
        return self.type is not EventType.EV_NO_ACTION

    def proves_data(self, algorithm: HashAlgorithm) -> bool:
        """Whether the digest that was measured is the hash of the data, so that the register vouches for both."""
        return self.extends and self.digests.get(algorithm) == algorithm.digest(self.data)


@dataclass(frozen=True, slots=True)
class EventLog:
    """A boot log.

    Attributes:
        format: how it was written.
        algorithms: TPM_ALG_ID of each bank → bytes in its digests.
        events: in the order of measurement; a crypto-agile log begins with the record that describes it.
    """

    format: LogFormat
    algorithms: Mapping[int, int]
    events: tuple[Event, ...]


def parse_event_log(data: bytes) -> EventLog:
    """Parse a log as firmware wrote it; bytes 0x00 or 0xFF that fill an area behind the last event are no events.

    Raises:
        MalformedError: it is empty, truncated, too large, or names digests that it did not announce.
    """
    if len(data) > MAX_SIZE:
        raise MalformedError(f"event log has {len(data)} bytes, at most {MAX_SIZE} are read")
    end = _end_of_events(data)
    if not end:
        raise MalformedError("event log is empty", hint="was it read as root, on a machine that measures its boot?")
    reader = Reader(data, "event log", "little")
    first = _read_sha1_event(reader)
    if first.type is EventType.EV_NO_ACTION and first.data.startswith(SPEC_ID_SIGNATURE):
        algorithms = _read_algorithms(first.data)
        events = _read_events(reader, first, lambda: _read_event(reader, algorithms), end)
        return EventLog(LogFormat.CRYPTO_AGILE, algorithms, events)
    events = _read_events(reader, first, lambda: _read_sha1_event(reader), end)
    return EventLog(LogFormat.TCG_1_2, _ONLY_SHA1, events)


def _end_of_events(data: bytes) -> int:
    """Find where nothing but filling follows: an event that starts there or later is none."""
    return min(len(data.rstrip(b"\0")), len(data.rstrip(b"\xff")))


def _read_events(reader: Reader, first: Event, read: Callable[[], Event], end: int) -> tuple[Event, ...]:
    events = [first]
    while reader.offset < end:
        if len(events) == MAX_EVENTS:
            reader.fail(f"more than {MAX_EVENTS} events")
        events.append(read())
    return tuple(events)


def _read_sha1_event(reader: Reader) -> Event:
    """Read a TCG_PCClientPCREvent; the first record of either format is one."""
    register, kind = reader.u32("register"), event_type(reader.u32("event type"))
    digest = reader.take(HashAlgorithm.SHA1.size, "digest")
    return Event(register, kind, {int(HashAlgorithm.SHA1): digest}, reader.sized32("event data"))


def _read_event(reader: Reader, algorithms: Mapping[int, int]) -> Event:
    """Read a TCG_PCR_EVENT2."""
    register, kind, count = reader.u32("register"), event_type(reader.u32("event type")), reader.u32("digest count")
    if count > len(algorithms):
        reader.fail(f"{count} digests, {len(algorithms)} were announced")
    digests: dict[int, bytes] = {}
    for _ in range(count):
        algorithm = reader.u16("digest algorithm")
        if algorithm not in algorithms or algorithm in digests:
            reader.fail(f"digest of algorithm {algorithm:#06x} was not announced, or comes twice")
        digests[algorithm] = reader.take(algorithms[algorithm], "digest")
    return Event(register, kind, digests, reader.sized32("event data"))


def _read_algorithms(spec_id: bytes) -> Mapping[int, int]:
    """Read what the TCG_EfiSpecIDEvent announces."""
    reader = Reader(spec_id, "Spec ID event", "little")
    reader.take(len(SPEC_ID_SIGNATURE) + SPEC_ID_PREFIX, "signature, class and version")
    count = reader.u32("number of algorithms")
    if not 0 < count <= MAX_ALGORITHMS:
        reader.fail(f"{count} algorithms, expected 1 to {MAX_ALGORITHMS}")
    algorithms = {}
    for _ in range(count):
        algorithm, size = reader.u16("algorithm"), reader.u16("digest size")
        known = _SIZES.get(algorithm, size)
        if algorithm in algorithms or size != known or not 0 < size <= MAX_DIGEST_SIZE:
            reader.fail(f"algorithm {algorithm:#06x} with digests of {size} bytes")
        algorithms[algorithm] = size
    reader.take(reader.u8("size of the vendor's part"), "vendor's part")
    reader.end()
    return MappingProxyType(algorithms)


_SIZES: Final = {int(algorithm): algorithm.size for algorithm in HashAlgorithm}
_ONLY_SHA1: Final = MappingProxyType({int(HashAlgorithm.SHA1): HashAlgorithm.SHA1.size})
