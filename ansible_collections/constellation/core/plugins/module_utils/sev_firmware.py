# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The firmware of AMD's secure processor, asked through /dev/sev: its version, its TCB, which chip it is.

After Linux include/uapi/linux/psp-sev.h and Documentation/virt/coco/sev-guest.rst; fields after AMD 56860 (SEV-SNP
ABI), "SNP_PLATFORM_STATUS", and AMD 55766 (SEV API), "GET_ID". Nothing is changed by asking. Standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DEVICE = Path("/dev/sev")
ISSUE_COMMAND = 0xC0105300  # _IOWR('S', 0, 16 bytes)
PLATFORM_STATUS = 1
GET_ID = 8
SNP_PLATFORM_STATUS = 9
CHIP_ID_SIZE = 64  # bytes for each of at most two sockets

_COMMAND = struct.Struct("<IQI")  # command, address of its data, error of the firmware: packed
_STATUS = struct.Struct("<BBBIBI")  # API major and minor, state, flags, build, guests
_SNP_STATUS = struct.Struct("<BBBBIIIQQ")  # the same, RMP, build, flags, guests, current and reported TCB
_ID = struct.Struct("<QI")  # address of the buffer, its length
_RMP_INITIALISED = 0x1
_SNP_INITIALISED = 1
_SAYS_WHICH = {errno.EACCES: "you may not open it", errno.EPERM: "you may not open it", errno.ENOENT: "it is not there"}


class SevDeviceError(Exception):
    """The device is not there, is not for us, or the firmware refuses."""


@dataclass(frozen=True)
class SnpStatus:
    """What the firmware says of SNP.

    Attributes:
        version: of the interface, major and minor.
        build: of the firmware.
        initialised: whether SNP is ready for guests.
        rmp_initialised: whether the table of who owns each page is there.
        guests: how many there are.
        current_tcb: security versions of what runs, 8 bytes.
        reported_tcb: those that reports carry, for which the processor's key is derived, 8 bytes.
    """

    version: tuple[int, int]
    build: int
    initialised: bool
    rmp_initialised: bool
    guests: int
    current_tcb: bytes
    reported_tcb: bytes

    @classmethod
    def parse(cls, data: bytes) -> SnpStatus:
        """Read the answer to SNP_PLATFORM_STATUS.

        Raises:
            SevDeviceError: it is too short.
        """
        if len(data) < _SNP_STATUS.size:
            raise SevDeviceError(f"expected a status of {_SNP_STATUS.size} bytes, got {len(data)}")
        major, minor, state, rmp, build, _mask, guests, current, reported = _SNP_STATUS.unpack(data[: _SNP_STATUS.size])
        return cls(
            version=(major, minor),
            build=build,
            initialised=state == _SNP_INITIALISED,
            rmp_initialised=bool(rmp & _RMP_INITIALISED),
            guests=guests,
            current_tcb=current.to_bytes(8, "little"),
            reported_tcb=reported.to_bytes(8, "little"),
        )


class SevFirmware:
    """Asks the firmware.

    Args:
        path: of the device.
        ioctl: the system call; another one only for tests.
    """

    def __init__(self, path: Path = DEVICE, ioctl: Callable[[int, int, bytearray], object] = fcntl.ioctl) -> None:
        self._path = path
        self._ioctl = ioctl

    def api_version(self) -> str:
        """Give version and build of the SEV interface, which firmware without SNP has too.

        Raises:
            SevDeviceError: the device or the firmware refuses.
        """
        major, minor, _state, _flags, build, _guests = _STATUS.unpack(self._ask(PLATFORM_STATUS, _STATUS.size))
        return f"{major}.{minor} build {build}"

    def snp_status(self) -> SnpStatus:
        """Give the state of SNP.

        Raises:
            SevDeviceError: the device or the firmware refuses.
        """
        return SnpStatus.parse(self._ask(SNP_PLATFORM_STATUS, _SNP_STATUS.size))

    def chip_ids(self) -> list[bytes]:
        """Give the id of the chip in each socket, 64 bytes each.

        Raises:
            SevDeviceError: the device or the firmware refuses.
        """
        ids = ctypes.create_string_buffer(2 * CHIP_ID_SIZE)
        request = ctypes.create_string_buffer(_ID.pack(ctypes.addressof(ids), len(ids)), _ID.size)
        self._issue(GET_ID, request)
        halves = (ids.raw[:CHIP_ID_SIZE], ids.raw[CHIP_ID_SIZE:])
        return [half for half in halves if any(half)]

    def _ask(self, command: int, size: int) -> bytes:
        answer = ctypes.create_string_buffer(size)
        self._issue(command, answer)
        return answer.raw

    def _issue(self, command: int, data: ctypes.Array[ctypes.c_char]) -> None:
        request = bytearray(_COMMAND.pack(command, ctypes.addressof(data), 0))
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise SevDeviceError(f"{self._path}: {_SAYS_WHICH.get(error.errno or 0, error.strerror)}") from None
        try:
            self._ioctl(descriptor, ISSUE_COMMAND, request)
        except OSError as error:
            refusal = _COMMAND.unpack(request)[2]
            said = f", firmware error {refusal:#x}" if refusal else ""
            raise SevDeviceError(f"{self._path}: command {command}: {error.strerror}{said}") from None
        finally:
            os.close(descriptor)


# Product line → component → byte of the 8 bytes of a TCB version (AMD 56860, "TCB version").
_ZEN3_TO_ZEN4 = {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7}
_ZEN5 = {"fmc": 0, "bootloader": 1, "tee": 2, "snp": 3, "microcode": 7}


def product_line(family: int, model: int) -> str:
    """Name the product line of a processor; "" for one without SEV-SNP, or one that we do not know.

    Args:
        family: combined base and extended family.
        model: the same.
    """
    for known, models, name in (
        (0x19, range(0x10), "Milan"),
        (0x19, range(0x10, 0x20), "Genoa"),
        (0x19, range(0xA0, 0xB0), "Genoa"),
        (0x1A, range(0x12), "Turin"),
    ):
        if family == known and model in models:
            return name
    return ""


def split_tcb(product: str, raw: bytes) -> dict[str, int]:
    """Give the security version of each component.

    Args:
        product: as `product_line` names it.
        raw: 8 bytes.
    """
    layout = _ZEN5 if product == "Turin" else _ZEN3_TO_ZEN4
    return {component: raw[index] for component, index in layout.items()}
