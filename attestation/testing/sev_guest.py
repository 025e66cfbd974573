# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The kernel's driver `sev-guest` and the host behind it, made of software.

    driver = FakeSevGuest(machine)
    SevGuestDevice(path, driver.ioctl).request_report(bytes(64))

    driver.table = b""                        # a host without certificates
    driver.host_error = 2                     # a host that throttles
    driver.status = 0x16                      # the secure processor refuses
    driver.lowest_vmpl = 2                    # the machine runs at VMPL 2

Requests arrive as addresses in memory, exactly as the kernel gets them: the structures of sev-guest.h are described
here a second time (`ctypes`), so that a wrong layout cannot agree with itself.
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from attestation.testing.snp_machine import REPORT_DATA_SIZE, FakeMachine

if TYPE_CHECKING:
    from collections.abc import Mapping

GET_REPORT = 0xC0205300
GET_EXTENDED_REPORT = 0xC0205302
PAGE = 4096
LARGEST_TABLE = 4 * PAGE
TABLE_TOO_SMALL = 1
INVALID_PARAMETER = 0x16
GUIDS = {
    "vcek": UUID("63da758d-e664-4564-adc5-f4b93be8accd"),
    "vlek": UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1"),
    "ask": UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782"),
    "ark": UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae"),
}


class _Ioctl(ctypes.Structure):
    _fields_: ClassVar = [
        ("message_version", ctypes.c_uint8),
        ("request", ctypes.c_uint64),
        ("response", ctypes.c_uint64),
        ("firmware_error", ctypes.c_uint32),
        ("host_error", ctypes.c_uint32),
    ]


class _Request(ctypes.Structure):
    _fields_: ClassVar = [
        ("report_data", ctypes.c_uint8 * REPORT_DATA_SIZE),
        ("vmpl", ctypes.c_uint32),
        ("reserved", ctypes.c_uint8 * 28),
    ]


class _ExtendedRequest(ctypes.Structure):
    _fields_: ClassVar = [
        ("request", _Request),
        ("table", ctypes.c_uint64),
        ("table_size", ctypes.c_uint32),
    ]


class _Response(ctypes.Structure):
    _fields_: ClassVar = [
        ("status", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("reserved", ctypes.c_uint8 * 24),
        ("report", ctypes.c_uint8 * 1184),
        ("rest", ctypes.c_uint8 * (4000 - 32 - 1184)),
    ]


@dataclass(slots=True)
class FakeSevGuest:
    """The driver of a machine.

    Attributes:
        machine: what signs.
        table: certificate table of the host; by default the whole chain of the machine.
        lowest_vmpl: most privileged level for which the secure processor signs.
        status: of its responses; 0 where it signs.
        report_size: what a response says about its size.
        firmware_error: of the secure processor; the request fails.
        host_error: of the host; the request fails.
        requests: numbers of the requests, in order.
    """

    machine: FakeMachine
    table: bytes | None = None
    lowest_vmpl: int = 0
    status: int = 0
    report_size: int = 1184
    firmware_error: int = 0
    host_error: int = 0
    requests: list[int] = field(default_factory=list)

    def ioctl(self, _file: int, number: int, argument: bytearray) -> int:
        """Serve a request as the kernel does.

        Raises:
            OSError: as the kernel does.
        """
        self.requests.append(number)
        call = _Ioctl.from_buffer(argument)
        if number not in (GET_REPORT, GET_EXTENDED_REPORT):
            raise _error(errno.ENOTTY)
        if not call.message_version:
            raise _error(errno.EINVAL)
        if number == GET_EXTENDED_REPORT:
            self._give_table(call, _ExtendedRequest.from_address(call.request))
        if self.firmware_error or self.host_error:
            call.firmware_error, call.host_error = self.firmware_error, self.host_error
            raise _error(errno.EIO)
        self._sign(_Request.from_address(call.request), _Response.from_address(call.response))
        return 0

    def _give_table(self, call: _Ioctl, request: _ExtendedRequest) -> None:
        if request.table_size % PAGE or request.table_size > LARGEST_TABLE:
            raise _error(errno.EINVAL)
        table = certificate_table(self.machine) if self.table is None else self.table
        if len(table) > request.table_size:
            call.host_error = TABLE_TOO_SMALL
            raise _error(errno.EIO)
        ctypes.memmove(request.table, table.ljust(request.table_size, b"\0"), request.table_size)

    def _sign(self, request: _Request, response: _Response) -> None:
        response.status = INVALID_PARAMETER if request.vmpl < self.lowest_vmpl else self.status
        if any(request.reserved):
            response.status = INVALID_PARAMETER
        if not response.status:
            report = replace(self.machine, vmpl=request.vmpl).report(bytes(request.report_data))
            response.size = self.report_size
            response.report[:] = report


def certificate_table(machine: FakeMachine) -> bytes:
    """Give the table of a host that provides the whole chain of a machine."""
    names = (machine.signing_key.name.lower(), "ask", "ark")
    return encode_table({GUIDS[name].bytes: der for name, der in zip(names, machine.certificates(), strict=True)})


def encode_table(entries: Mapping[bytes, bytes]) -> bytes:
    """Encode a certificate table.

    Args:
        entries: GUID, 16 bytes, → data.
    """
    offset = 24 * (len(entries) + 1)
    header, data = b"", b""
    for guid, value in entries.items():
        header += guid + (offset + len(data)).to_bytes(4, "little") + len(value).to_bytes(4, "little")
        data += value
    return header + bytes(24) + data


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
