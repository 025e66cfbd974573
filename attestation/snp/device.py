# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to a report of the machine we run in: configfs-TSM, or the older `/dev/sev-guest`.

After Linux Documentation/ABI/testing/configfs-tsm-report, Documentation/virt/coco/sev-guest.rst and
include/uapi/linux/sev-guest.h; responses after AMD 56860, "MSG_REPORT_RSP".
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from attestation.errors import DeviceError
from attestation.reader import Reader
from attestation.snp.report import REPORT_SIZE
from attestation.tsm import DIRECTORY, TsmProvider, TsmReports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEVICE: Final = Path("/dev/sev-guest")
REPORT_DATA_SIZE: Final = 64
TABLE_SIZE: Final = 16 * 1024  # bytes; the driver takes whole pages, at most these
RESPONSE_SIZE: Final = 4000
SNP_GET_REPORT: Final = 0xC0205300  # _IOWR('S', 0, 32 bytes)
SNP_GET_EXT_REPORT: Final = 0xC0205302

# Structures of sev-guest.h, with the padding of C.
_IOCTL: Final = struct.Struct("<B7xQQII")  # message version, request, response, firmware error, host error
_REQUEST: Final = struct.Struct("<64sI28x")  # report data, VMPL
_EXTENDED_REQUEST: Final = struct.Struct("<64sI28xQI4x")  # the same, table, its length
_MESSAGE_VERSION: Final = 1
_DEFAULT_VMPL: Final = 0
_TABLE_TOO_SMALL: Final = 1  # errors of the host
_HOST_BUSY: Final = 2
_INVALID_PARAMETER: Final = 0x16  # status of a response


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """What a device gives.

    Attributes:
        report: the report, 1184 bytes.
        certificate_table: what the host adds (`parse_certificate_table`); may be empty.
    """

    report: bytes
    certificate_table: bytes = b""


class _TableTooSmallError(DeviceError):
    """The host has more certificates than the buffer holds."""


class ReportDevice(Protocol):
    """Something that has the secure processor sign."""

    def request_report(self, report_data: bytes, *, vmpl: int | None = None) -> DeviceReport:
        """Have a report signed.

        Args:
            report_data: 64 bytes for the report to carry.
            vmpl: privilege level to sign for, not more privileged than our own; None for the driver's default.

        Raises:
            DeviceError: no device, no permission, or no answer.
        """


class ConfigfsDevice:
    """The kernel's configfs-TSM interface, Linux 6.7 and later.

    Args:
        reports: the interface.
    """

    def __init__(self, reports: TsmReports | None = None) -> None:
        self._reports = TsmReports() if reports is None else reports

    def request_report(self, report_data: bytes, *, vmpl: int | None = None) -> DeviceReport:
        """Have a report signed."""
        answer = self._reports.request(report_data, TsmProvider.SNP, privilege_level=vmpl)
        if len(answer.outblob) != REPORT_SIZE:
            raise DeviceError(f"the kernel gave a report of {len(answer.outblob)} bytes, expected {REPORT_SIZE}")
        return DeviceReport(answer.outblob, answer.auxblob)


class SevGuestDevice:
    """The driver's own device.

    Args:
        path: the device.
        ioctl: the system call; another only for tests (`attestation.testing.sev_guest`).
    """

    def __init__(self, path: Path = DEVICE, ioctl: Callable[[int, int, bytearray], object] = fcntl.ioctl) -> None:
        self._path = path
        self._ioctl = ioctl

    def request_report(self, report_data: bytes, *, vmpl: int | None = None) -> DeviceReport:
        """Have a report signed."""
        if len(report_data) != REPORT_DATA_SIZE:
            message = f"a report carries {REPORT_DATA_SIZE} bytes, not {len(report_data)}"
            raise ValueError(message)
        level = _DEFAULT_VMPL if vmpl is None else vmpl
        table = ctypes.create_string_buffer(TABLE_SIZE)
        with_table = _EXTENDED_REQUEST.pack(report_data, level, ctypes.addressof(table), TABLE_SIZE)
        try:
            return DeviceReport(self._send(SNP_GET_EXT_REPORT, with_table), table.raw)
        except _TableTooSmallError:
            # The buffer cannot grow any more: this host's certificates have to come from elsewhere.
            return DeviceReport(self._send(SNP_GET_REPORT, _REQUEST.pack(report_data, level)))

    def _send(self, number: int, request: bytes) -> bytes:
        request_buffer = ctypes.create_string_buffer(request, len(request))
        response = ctypes.create_string_buffer(RESPONSE_SIZE)
        addresses = ctypes.addressof(request_buffer), ctypes.addressof(response)
        argument = bytearray(_IOCTL.pack(_MESSAGE_VERSION, *addresses, 0, 0))
        with self._opened() as file:
            try:
                self._ioctl(file, number, argument)
            except OSError as error:
                raise self._failure(error, argument) from None
        return _parse_response(response.raw)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise _cannot_open(self._path, error) from None
        try:
            yield file
        finally:
            os.close(file)

    def _failure(self, error: OSError, argument: bytearray) -> DeviceError:
        *_, firmware_error, host_error = _IOCTL.unpack(argument)
        if host_error == _TABLE_TOO_SMALL:
            return _TableTooSmallError(f"{self._path}: the host's certificates are larger than {TABLE_SIZE} bytes")
        if host_error == _HOST_BUSY:
            return DeviceError(f"{self._path}: the host throttles requests for reports", hint="try again later")
        return DeviceError(
            f"{self._path} gave no report: {error.strerror or error}"
            f" (firmware error {firmware_error:#x}, host error {host_error:#x})",
            hint="after a failed request the driver may refuse all others until the machine starts again",
        )


def find_device() -> ReportDevice:
    """Choose the way that this machine offers.

    Raises:
        DeviceError: it offers none.
    """
    if DIRECTORY.is_dir():
        return ConfigfsDevice()
    if DEVICE.exists():
        return SevGuestDevice()
    raise DeviceError(
        "this machine offers no SEV-SNP reports",
        hint=f"neither {DIRECTORY} nor {DEVICE} exists: is it an SEV-SNP guest, with the module sev-guest loaded?",
    )


def _parse_response(response: bytes) -> bytes:
    reader = Reader(response, "response of the secure processor", "little")
    status, size = reader.u32("status"), reader.u32("size")
    reader.take(24, "reserved bytes")
    if status == _INVALID_PARAMETER:
        hint = "a machine may ask only for its own privilege level (VMPL) and less privileged ones"
        raise DeviceError("the secure processor refuses the parameters of the request", hint=hint)
    if status or size != REPORT_SIZE:
        raise DeviceError(f"the secure processor gave status {status:#x} and a report of {size} bytes")
    return reader.take(size, "report")


def _cannot_open(path: Path, error: OSError) -> DeviceError:
    if isinstance(error, FileNotFoundError):
        return DeviceError(f"no device at {path}", hint="is this an SEV-SNP guest, with the module sev-guest loaded?")
    if error.errno in (errno.EACCES, errno.EPERM):
        return DeviceError(f"no permission to use {path}", hint="run as root")
    return DeviceError(f"cannot open {path}: {error.strerror or error}")
