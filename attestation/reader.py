# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The bounded reader through which every binary format is parsed.

It never reads past its end, never trusts a length, and every refusal says where, what was expected and what came.
"""

from __future__ import annotations

from typing import Literal

from attestation.errors import MalformedError


class Reader:
    """Reads one buffer from front to back.

    Args:
        data: the bytes to read.
        what: name of the structure, used in error messages ("SNP report").
        order: byte order of integers.
    """

    __slots__ = ("_data", "_order", "offset", "what")

    def __init__(self, data: bytes, what: str, order: Literal["little", "big"] = "big") -> None:
        self._data = data
        self._order: Literal["little", "big"] = order
        self.what = what
        self.offset = 0

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self.offset

    def take(self, count: int, field: str = "field") -> bytes:
        """Read exactly `count` bytes."""
        end = self.offset + count
        if count < 0 or end > len(self._data):
            raise MalformedError(
                f"{self.what} is truncated: {field} at offset {self.offset} needs {count} bytes, {self.left} are left",
                hint="is the file complete and of the kind you named?",
            )
        data = self._data[self.offset : end]
        self.offset = end
        return data

    def unsigned(self, width: int, field: str = "field") -> int:
        """Read an unsigned integer of `width` bytes."""
        return int.from_bytes(self.take(width, field), self._order)

    def u8(self, field: str = "field") -> int:
        """Read one byte."""
        return self.unsigned(1, field)

    def u16(self, field: str = "field") -> int:
        """Read a 16-bit unsigned integer."""
        return self.unsigned(2, field)

    def u32(self, field: str = "field") -> int:
        """Read a 32-bit unsigned integer."""
        return self.unsigned(4, field)

    def u64(self, field: str = "field") -> int:
        """Read a 64-bit unsigned integer."""
        return self.unsigned(8, field)

    def sized16(self, field: str = "field") -> bytes:
        """Read a 16-bit length and that many bytes (a TPM2B)."""
        return self.take(self.u16(f"length of {field}"), field)

    def sized32(self, field: str = "field") -> bytes:
        """Read a 32-bit length and that many bytes."""
        return self.take(self.u32(f"length of {field}"), field)

    def rest(self) -> bytes:
        """Read everything that is left."""
        return self.take(self.left)

    def expect(self, value: object, got: object, field: str) -> None:
        """Refuse unless `got` equals `value`."""
        if got != value:
            self.fail(f"{field} is {got!r}, expected {value!r}")

    def zeros(self, count: int, field: str = "reserved bytes") -> None:
        """Read `count` bytes that the specification demands to be zero."""
        start = self.offset
        if any(self.take(count, field)):
            raise MalformedError(f"{self.what}: {field} at offset {start} must be zero")

    def end(self) -> None:
        """Refuse trailing bytes."""
        if self.left:
            raise MalformedError(f"{self.what} has {self.left} bytes more than its format allows")

    def fail(self, reason: str) -> None:
        """Refuse at the present offset."""
        raise MalformedError(f"{self.what}: {reason} (near offset {self.offset})")
