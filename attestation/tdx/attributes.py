# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Bits of a TD that its quote shows: ATTRIBUTES and XFAM.

After Intel 348549, "TDX Module Base Architecture Specification" and "ABI Specification", TD_PARAMS. The low byte of
ATTRIBUTES is named TUD, "TD under debug": whatever is set there makes the TD's memory readable from outside.
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

TUD: Final = 0xFF


class TdAttributes(IntFlag):
    """ATTRIBUTES of a TD."""

    DEBUG = 1 << 0
    HGS_PLUS_PROF = 1 << 4
    PERF_PROF = 1 << 5
    PMT_PROF = 1 << 6
    ICSSD = 1 << 16
    LASS = 1 << 27
    SEPT_VE_DISABLE = 1 << 28
    MIGRATABLE = 1 << 29
    PKS = 1 << 30
    KL = 1 << 31
    TPA = 1 << 62
    PERFMON = 1 << 63


class Xfam(IntFlag):
    """XFAM: the CPU features whose state the TD may use, numbered as in XCR0 and IA32_XSS."""

    FP = 1 << 0
    SSE = 1 << 1
    AVX = 1 << 2
    AVX512_OPMASK = 1 << 5
    AVX512_ZMM_HI256 = 1 << 6
    AVX512_HI16_ZMM = 1 << 7
    PT = 1 << 8
    PKRU = 1 << 9
    PASID = 1 << 10
    CET_USER = 1 << 11
    CET_SUPERVISOR = 1 << 12
    HDC = 1 << 13
    UINTR = 1 << 14
    LBR = 1 << 15
    HWP = 1 << 16
    AMX_TILE_CONFIG = 1 << 17
    AMX_TILE_DATA = 1 << 18
    APX = 1 << 19


def flag_names(flags: type[IntFlag], raw: bytes) -> tuple[str, ...]:
    """Name the bits that are set, lowest first; a bit without a name is shown by its number.

    Args:
        flags: what the bits mean.
        raw: the field as in the quote, little endian.
    """
    known = {flag.value.bit_length() - 1: str(flag.name) for flag in flags}
    return tuple(known.get(bit, f"bit {bit}") for bit in _bits(raw))


def unknown_bits(flags: type[IntFlag], raw: bytes) -> tuple[int, ...]:
    """Numbers of the bits that are set and have no name, lowest first.

    Args:
        flags: what the bits mean.
        raw: the field as in the quote, little endian.
    """
    known = sum(flag.value for flag in flags)
    return tuple(bit for bit in _bits(raw) if not known >> bit & 1)


def _bits(raw: bytes) -> Iterator[int]:
    value = int.from_bytes(raw, "little")
    return (bit for bit in range(value.bit_length()) if value >> bit & 1)
