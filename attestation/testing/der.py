# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A small writer of DER (ITU-T X.690), for certificates that no library agrees to make: serial number 0, oddities.

The reader is `attestation.der`; the two share nothing but the tags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attestation.der import Tag

if TYPE_CHECKING:
    from datetime import datetime

_LONG_LENGTH: Final = 0x80
_LAST_UTC_YEAR: Final = 2049  # RFC 5280, 4.1.2.5: later years are GeneralizedTime


def tlv(tag: int, *contents: bytes) -> bytes:
    """Encode an element of these contents, one after the other."""
    value = b"".join(contents)
    if len(value) < _LONG_LENGTH:
        return bytes((tag, len(value))) + value
    length = len(value).to_bytes((len(value).bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_LENGTH | len(length))) + length + value


def sequence(*elements: bytes) -> bytes:
    """Encode a SEQUENCE."""
    return tlv(Tag.SEQUENCE, *elements)


def integer(value: int) -> bytes:
    """Encode an INTEGER that is not negative."""
    return tlv(Tag.INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def boolean(*, value: bool) -> bytes:
    """Encode a BOOLEAN."""
    return tlv(Tag.BOOLEAN, b"\xff" if value else b"\x00")


def octets(value: bytes) -> bytes:
    """Encode an OCTET STRING."""
    return tlv(Tag.OCTET_STRING, value)


def bits(value: bytes, *, unused: int = 0) -> bytes:
    """Encode a BIT STRING whose last byte has `unused` bits without meaning."""
    return tlv(Tag.BIT_STRING, bytes((unused,)), value)


def text(tag: int, value: str) -> bytes:
    """Encode an ASCII string of some kind."""
    return tlv(tag, value.encode("ascii"))


def oid(dotted: str) -> bytes:
    """Encode an OBJECT IDENTIFIER."""
    first, second, *rest = map(int, dotted.split("."))
    return tlv(Tag.OBJECT_IDENTIFIER, *map(_arc, (40 * first + second, *rest)))


def time(at: datetime) -> bytes:
    """Encode a time as X.509 wants it: UTCTime up to 2049, GeneralizedTime later."""
    if at.year <= _LAST_UTC_YEAR:
        return text(Tag.UTC_TIME, f"{at:%y%m%d%H%M%SZ}")
    return text(Tag.GENERALIZED_TIME, f"{at:%Y%m%d%H%M%SZ}")


def _arc(value: int) -> bytes:
    encoded = bytes((value & 0x7F,))
    while value := value >> 7:
        encoded = bytes((0x80 | value & 0x7F,)) + encoded
    return encoded
