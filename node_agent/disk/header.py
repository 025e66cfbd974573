# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Read the header of a LUKS2 disk: "LUKS2 On-Disk Format Specification" 1.1.4, § 2 and § 3.

    0       binary header 4096, JSON area 12288        first copy
    16384   the same                                   second copy
    32768   key slots

    binary header, big endian:
    magic 6 | version 2 | size 8 | sequence 8 | label 48 | checksum algorithm 32 | salt 64 | uuid 40 | subsystem 48 |
    offset 8 | zeros 184 | checksum 64 | zeros 3584

The checksum is over binary header and JSON area, with zeros in its own place; it is no protection against anybody. Here
nothing is judged but the format: `allowed.py` does that.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from attestation.errors import MalformedError
from attestation.reader import Reader
from attestation.strict_json import load_object

COPY_SIZE: Final = 16384
"""Bytes of one copy: the only size that we write."""
BINARY_SIZE: Final = 4096
MAGIC: Final = b"LUKS\xba\xbe"
SECOND_MAGIC: Final = b"SKUL\xba\xbe"

_VERSION: Final = 2
_CHECKSUM_AT: Final = 448
_CHECKSUM_SIZE: Final = 64
_DIGEST_SIZE: Final = 32  # of SHA-256
_MAX_BRACKETS: Final = 64  # ours has 17


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says, and nothing of it is proved.

    Attributes:
        sequence: grows with every change.
        label: of the disk.
        subsystem: second label.
        uuid: of the disk.
        metadata: the JSON object.
    """

    sequence: int
    label: str
    subsystem: str
    uuid: UUID
    metadata: dict[str, Any] = field(repr=False)

    @property
    def tokens(self) -> dict[str, Any]:
        """Its tokens, by number."""
        tokens = self.metadata.get("tokens")
        return tokens if isinstance(tokens, dict) else {}


def parse_header(area: bytes) -> Header:
    """Read both copies.

    Args:
        area: first bytes of the disk, 32768 or more.

    Raises:
        MalformedError: one copy is damaged, or they differ. The tool that opens disks would choose one and mend the
            other; which one is not for whoever wrote them to say.
    """
    first = _parse_copy(area[:COPY_SIZE], MAGIC, 0)
    second = _parse_copy(area[COPY_SIZE : 2 * COPY_SIZE], SECOND_MAGIC, COPY_SIZE)
    if first != second:
        raise MalformedError("the two copies of the LUKS2 header differ")
    return first


def _parse_copy(data: bytes, magic: bytes, offset: int) -> Header:
    reader = Reader(data, "LUKS2 header" if not offset else "second LUKS2 header")
    reader.expect(magic, reader.take(len(magic), "magic"), "magic")
    reader.expect(_VERSION, reader.u16("version"), "version")
    reader.expect(COPY_SIZE, reader.u64("size"), "size")
    sequence = reader.u64("sequence")
    label = _text(reader, 48, "label")
    reader.expect("sha256", _text(reader, 32, "checksum algorithm"), "checksum algorithm")
    reader.take(64, "salt")
    uuid = _uuid(reader)
    subsystem = _text(reader, 48, "subsystem")
    reader.expect(offset, reader.u64("offset"), "offset")
    reader.zeros(184)
    checksum = reader.take(_CHECKSUM_SIZE, "checksum")
    reader.zeros(BINARY_SIZE - reader.offset)
    reader.expect(_checksum(data), checksum, "checksum")
    text, _, rest = reader.take(COPY_SIZE - BINARY_SIZE, "JSON area").partition(b"\0")
    if any(rest):
        raise MalformedError(f"{reader.what}: something stands behind its JSON")
    return Header(sequence, label, subsystem, uuid, _metadata(text))


def _checksum(data: bytes) -> bytes:
    digest = hashlib.sha256(data[:_CHECKSUM_AT])
    digest.update(bytes(_CHECKSUM_SIZE))
    digest.update(data[_CHECKSUM_AT + _CHECKSUM_SIZE : COPY_SIZE])
    return digest.digest().ljust(_CHECKSUM_SIZE, b"\0")


def _text(reader: Reader, size: int, name: str) -> str:
    text, _, rest = reader.take(size, name).partition(b"\0")
    if any(rest) or not text.isascii():
        reader.fail(f"{name} is no text")
    return text.decode("ascii", "replace")


def _uuid(reader: Reader) -> UUID:
    text = _text(reader, 40, "uuid")
    try:
        uuid = UUID(text)
    except ValueError:
        uuid = None
    if uuid is None or str(uuid) != text:
        raise MalformedError(f"{reader.what}: expected a UUID in lower case, got {text!r}")
    return uuid


def _metadata(text: bytes) -> dict[str, Any]:
    return load_object(text, "the JSON of a LUKS2 header", max_size=COPY_SIZE, max_brackets=_MAX_BRACKETS)
