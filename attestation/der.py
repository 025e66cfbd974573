# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A small bounded reader of DER, for what `cryptography` gives as bytes (vendor extensions) or does not read at all.

After ITU-T X.690: definite lengths in their shortest form, one-byte tags. Nothing here recurses: callers descend one
level at a time through `Element.children`, so the depth is that of the caller's own code.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from attestation.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SIZE: Final = 64 * 1024  # bytes of one element; certificates have about 2 KiB
MAX_CHILDREN: Final = 1024
MAX_OID_SIZE: Final = 64  # bytes

_CONSTRUCTED: Final = 0x20
_LONG_TAG: Final = 0x1F
_LONG_LENGTH: Final = 0x80
_MAX_LENGTH_BYTES: Final = 3
_UTC_DIGITS: Final = 12
_PIVOT: Final = 50  # RFC 5280, 4.1.2.5.1: years of UTCTime are 1950 to 2049


class Tag(IntEnum):
    """Universal tags that certificates use, with the constructed bit where it belongs."""

    BOOLEAN = 0x01
    INTEGER = 0x02
    BIT_STRING = 0x03
    OCTET_STRING = 0x04
    OBJECT_IDENTIFIER = 0x06
    ENUMERATED = 0x0A
    UTF8_STRING = 0x0C
    PRINTABLE_STRING = 0x13
    IA5_STRING = 0x16
    UTC_TIME = 0x17
    GENERALIZED_TIME = 0x18
    SEQUENCE = 0x30
    SET = 0x31

    @staticmethod
    def context(number: int, *, constructed: bool = True) -> int:
        """Tag `[number]` of a structure."""
        return 0x80 | (_CONSTRUCTED if constructed else 0) | number


class Element(NamedTuple):
    """One tag, length and value.

    Attributes:
        tag: first byte, class and constructed bit included; compare with `Tag`.
        value: content.
        raw: the whole element as it was encoded, which is what signatures cover.
    """

    tag: int
    value: bytes
    raw: bytes

    def expect(self, tag: int, what: str = "element") -> Element:
        """Return itself if it has this tag.

        Raises:
            MalformedError: it has another one.
        """
        if self.tag != tag:
            raise MalformedError(f"DER: {what} has tag {self.tag:#04x}, expected {int(tag):#04x}")
        return self

    def children(self) -> Iterator[Element]:
        """Elements inside a constructed one, in order.

        Raises:
            MalformedError: it is primitive, or an element inside is broken; while iterating.
        """
        if not self.tag & _CONSTRUCTED:
            raise MalformedError(f"DER: element with tag {self.tag:#04x} has no elements inside")
        value = self.value
        offset, end, left = 0, len(value), MAX_CHILDREN
        while offset < end:
            if not left:
                raise MalformedError(f"DER: more than {MAX_CHILDREN} elements in one")
            left -= 1
            child = read_tlv(value, offset)
            offset += len(child.raw)
            yield child

    def fields(self, *tags: int, what: str = "structure") -> tuple[Element, ...]:
        """Elements inside a SEQUENCE that consists of exactly these tags."""
        inside = tuple(self.expect(Tag.SEQUENCE, what).children())
        if tuple(child.tag for child in inside) != tags:
            got = ", ".join(f"{child.tag:#04x}" for child in inside[: len(tags) + 1])
            wanted = ", ".join(f"{tag:#04x}" for tag in tags)
            raise MalformedError(f"DER: {what} holds the tags {got or 'none'}, expected {wanted}")
        return inside

    def integer(self) -> int:
        """Value of an INTEGER, or of an ENUMERATED."""
        if self.tag not in (Tag.INTEGER, Tag.ENUMERATED):
            self.expect(Tag.INTEGER, "integer")
        data = self.value
        if not data:
            raise MalformedError("DER: integer without bytes")
        if len(data) > 1 and (data[0], data[1] >> 7) in ((0x00, 0), (0xFF, 1)):
            raise MalformedError("DER: integer is longer than it needs to be")
        return int.from_bytes(data, "big", signed=True)

    def boolean(self) -> bool:
        """Value of a BOOLEAN."""
        data = self.expect(Tag.BOOLEAN, "boolean").value
        if data not in (b"\x00", b"\xff"):
            raise MalformedError(f"DER: boolean is {data[:4].hex() or 'empty'}, expected 00 or ff")
        return data == b"\xff"

    def octets(self) -> bytes:
        """Content of an OCTET STRING."""
        return self.expect(Tag.OCTET_STRING, "octet string").value

    def bits(self) -> bytes:
        """Content of a BIT STRING of whole bytes (keys, signatures)."""
        data = self.expect(Tag.BIT_STRING, "bit string").value
        if data[:1] != b"\x00":
            raise MalformedError("DER: bit string is not a number of whole bytes")
        return data[1:]

    def oid(self) -> str:
        """Dotted text of an OBJECT IDENTIFIER."""
        data = self.expect(Tag.OBJECT_IDENTIFIER, "object identifier").value
        if not 0 < len(data) <= MAX_OID_SIZE or data[-1] & 0x80:
            raise MalformedError(f"DER: object identifier of {len(data)} bytes is empty, cut off or too long")
        arcs = list(_arcs(data))
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))

    def time(self) -> datetime:
        """Value of a UTCTime or GeneralizedTime to the second, aware UTC."""
        if self.tag not in (Tag.UTC_TIME, Tag.GENERALIZED_TIME):
            self.expect(Tag.GENERALIZED_TIME, "time")
        digits = self.value[:-1]
        width = _UTC_DIGITS + 2 * (self.tag == Tag.GENERALIZED_TIME)
        if len(digits) != width or self.value[-1:] != b"Z" or not digits.isdigit():
            raise MalformedError(f"DER: time of {len(self.value)} bytes is not {width} digits and a Z")
        if self.tag == Tag.UTC_TIME:
            digits = (b"20" if int(digits[:2]) < _PIVOT else b"19") + digits
        year, *rest = int(digits[:4]), *(int(digits[start : start + 2]) for start in range(4, 14, 2))
        try:
            return datetime(year, rest[0], rest[1], rest[2], rest[3], rest[4], tzinfo=UTC)
        except ValueError:
            raise MalformedError(f"DER: {digits.decode('ascii')}Z is not a time") from None


def parse_der(data: bytes) -> Element:
    """Read the one element that these bytes are.

    Raises:
        MalformedError: not DER, too large, or bytes follow.
    """
    element = read_tlv(data)
    if len(element.raw) != len(data):
        raise MalformedError(f"DER: {len(data) - len(element.raw)} bytes follow the element")
    return element


def read_tlv(data: bytes, offset: int = 0) -> Element:
    """Read the element that begins at `offset`; the next one begins `len(element.raw)` later.

    Raises:
        MalformedError: not DER, cut off, or larger than `MAX_SIZE`.
    """
    if offset < 0 or offset + 2 > len(data):
        raise MalformedError(f"DER: no element at offset {offset} of {len(data)} bytes")
    tag, length, start = data[offset], data[offset + 1], offset + 2
    if tag & _LONG_TAG == _LONG_TAG:
        raise MalformedError(f"DER: tag of several bytes at offset {offset}")
    if length & _LONG_LENGTH:
        count = length & ~_LONG_LENGTH
        length = _long_length(data[start : start + count], count, offset)
        start += count
    end = start + length
    if length > MAX_SIZE or end > len(data):
        raise MalformedError(f"DER: element at offset {offset} has {length} bytes, {len(data) - start} are left")
    return Element(tag, data[start:end], data[offset:end])


def _long_length(encoded: bytes, count: int, offset: int) -> int:
    if not 0 < count <= _MAX_LENGTH_BYTES or len(encoded) != count:
        raise MalformedError(f"DER: length of {count} bytes at offset {offset}")
    length = int.from_bytes(encoded, "big")
    if length < _LONG_LENGTH or encoded[0] == 0:
        raise MalformedError(f"DER: length at offset {offset} is not in its shortest form")
    return length


def _arcs(data: bytes) -> Iterator[int]:
    arc = 0
    for byte in data:
        if arc == 0 and byte == 0x80:  # noqa: PLR2004 - a leading group of zero bits
            raise MalformedError("DER: object identifier is not in its shortest form")
        arc = arc << 7 | byte & 0x7F
        if not byte & 0x80:
            yield arc
            arc = 0
