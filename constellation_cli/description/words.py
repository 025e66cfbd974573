# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How values are written: bytes as hexadecimal text, bits by name, times to the second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime
    from enum import IntEnum, IntFlag


def bits(value: int, flags: type[IntFlag]) -> dict[str, Any]:
    """Name the bits that are set. Those that have no name are shown too."""
    known = 0
    for flag in flags:
        known |= flag.value
    record: dict[str, Any] = {
        "value": f"{value:#x}",
        "set": [str(flag.name).lower() for flag in flags if value & flag.value],
    }
    if value & ~known:
        record["unknown_bits"] = f"{value & ~known:#x}"
    return record


def name_or_number(number: int, names: type[IntEnum]) -> str:
    """Name a number; one that has no name is shown as it is."""
    return next((member.name for member in names if member == number), f"{number:#x}")


def moment(time: datetime) -> str:
    """Write a time."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
