# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A small bounded reader of CBOR, for attestation documents.

RFC 8949 without indefinite lengths, floating point and simple values other than false, true and null: a Nitro
document has none of them, and what is not read cannot be read wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from attestation.errors import MalformedError
from attestation.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    CborValue: TypeAlias = "int | bytes | str | bool | list[CborValue] | dict[int | str, CborValue] | Tagged | None"

MAX_SIZE: Final = 16 * 1024  # bytes; a Nitro document has about 5 KiB
MAX_DEPTH: Final = 8
MAX_ITEMS: Final = 1024  # in one array or map

_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}  # additional information → bytes of the argument
_SIMPLE: Final[Mapping[int, bool | None]] = {20: False, 21: True, 22: None}


class Major(IntEnum):
    """Major types."""

    UNSIGNED = 0
    NEGATIVE = 1
    BYTES = 2
    TEXT = 3
    ARRAY = 4
    MAP = 5
    TAG = 6
    SIMPLE = 7


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value with a tag in front.

    Attributes:
        tag: its number (18 is COSE_Sign1).
        value: what it tags.
    """

    tag: int
    value: CborValue


def parse_cbor(data: bytes, what: str) -> CborValue:
    """Read the one item that these bytes are.

    Args:
        data: encoded item.
        what: name of the structure, for error messages.

    Raises:
        MalformedError: not CBOR as described above, too large, too deep, a key twice, or bytes follow.
    """
    if len(data) > MAX_SIZE:
        raise MalformedError(f"{what} has {len(data)} bytes, at most {MAX_SIZE} are read")
    reader = Reader(data, what)
    value = _read(reader, MAX_DEPTH)
    reader.end()
    return value


def _read(reader: Reader, depth: int) -> CborValue:
    if depth == 0:
        raise MalformedError(f"{reader.what} is nested deeper than {MAX_DEPTH}")
    initial = reader.u8("initial byte")
    major, information = Major(initial >> 5), initial & 0x1F
    if major is Major.SIMPLE:
        return _simple(reader, information)
    return _READERS[major](reader, _argument(reader, information), depth - 1)


def _argument(reader: Reader, information: int) -> int:
    if information < min(_WIDTHS):
        return information
    if information not in _WIDTHS:
        reader.fail("an item of indefinite length or with a reserved length")
    return reader.unsigned(_WIDTHS[information], "argument")


def _simple(reader: Reader, information: int) -> bool | None:
    if information not in _SIMPLE:
        reader.fail("floating point, or a simple value that is not false, true or null")
    return _SIMPLE[information]


def _unsigned(_reader: Reader, argument: int, _depth: int) -> int:
    return argument


def _negative(_reader: Reader, argument: int, _depth: int) -> int:
    return -1 - argument


def _bytes(reader: Reader, argument: int, _depth: int) -> bytes:
    return reader.take(argument, "byte string")


def _text(reader: Reader, argument: int, _depth: int) -> str:
    try:
        return reader.take(argument, "text").decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedError(f"{reader.what}: text is not UTF-8 (near offset {reader.offset})") from None


def _array(reader: Reader, argument: int, depth: int) -> list[CborValue]:
    _check_count(reader, argument)
    return [_read(reader, depth) for _ in range(argument)]


def _map(reader: Reader, argument: int, depth: int) -> dict[int | str, CborValue]:
    _check_count(reader, argument)
    record: dict[int | str, CborValue] = {}
    for _ in range(argument):
        key = _read(reader, depth)
        # A boolean would pass for the integers 0 and 1 as a key of a dictionary.
        if isinstance(key, bool) or not isinstance(key, int | str) or key in record:
            raise MalformedError(f"{reader.what}: a key that is no number or text, or that appears twice")
        record[key] = _read(reader, depth)
    return record


def _tag(reader: Reader, argument: int, depth: int) -> Tagged:
    return Tagged(argument, _read(reader, depth))


def _check_count(reader: Reader, count: int) -> None:
    if count > MAX_ITEMS:
        raise MalformedError(f"{reader.what}: {count} items in one array or map, at most {MAX_ITEMS} are read")


_READERS: Final[Mapping[Major, Callable[[Reader, int, int], CborValue]]] = {
    Major.UNSIGNED: _unsigned,
    Major.NEGATIVE: _negative,
    Major.BYTES: _bytes,
    Major.TEXT: _text,
    Major.ARRAY: _array,
    Major.MAP: _map,
    Major.TAG: _tag,
}


def encode_head(major: Major, argument: int) -> bytes:
    """Write the head of an item in its shortest form; the argument is below 2^64."""
    if argument < min(_WIDTHS):
        return bytes((major << 5 | argument,))
    information, width = next(pair for pair in _WIDTHS.items() if argument >> 8 * pair[1] == 0)
    return bytes((major << 5 | information,)) + argument.to_bytes(width, "big")


def encode_bytes(data: bytes) -> bytes:
    """Write a byte string."""
    return encode_head(Major.BYTES, len(data)) + data


def encode_text(text: str) -> bytes:
    """Write a text."""
    data = text.encode("utf-8")
    return encode_head(Major.TEXT, len(data)) + data
