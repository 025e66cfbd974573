# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The report of Azure's paravisor, as it lies in NV index 0x01400001 of the vTPM.

Layout: OpenHCL attestation protocol ("attestation report"), little endian: a header, the hardware's report, a second
header, then the runtime data, whose hash the hardware signed. Parsing only; types that are not known are kept.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from attestation.errors import MalformedError

SIGNATURE: Final = b"HCLA"
MAX_SIZE: Final = 64 * 1024  # bytes; the NV index holds 2600
SNP_REPORT_SIZE: Final = 1184
TD_REPORT_SIZE: Final = 1024

_HEADER: Final = struct.Struct("<4s4I12s")
_RUNTIME_HEADER: Final = struct.Struct("<5I")
_HARDWARE_SIZE: Final = 1184  # room for either kind of report
_RUNTIME_START: Final = _HEADER.size + _HARDWARE_SIZE + _RUNTIME_HEADER.size


class ReportType(IntEnum):
    """Hardware that signed; other numbers are kept as integers."""

    SNP = 2
    TDX = 4


class HashType(IntEnum):
    """Hash of the runtime data that the hardware signed."""

    SHA256 = 1
    SHA384 = 2
    SHA512 = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HclReport:
    """A report of the paravisor.

    Attributes:
        version: of the header; 1 and 2 are known.
        report_size: bytes that the header claims, padding excluded.
        request_type: what the paravisor was asked; 2 in every report.
        status: 0 where it could be answered.
        reserved: 12 bytes of the header that mean nothing yet.
        runtime_version: of the second header; 1 is known.
        report_type: a `ReportType`, or a number that is not known.
        hash_type: a `HashType`, or a number that is not known.
        hardware: SNP report or TDREPORT, with its padding; 1184 bytes.
        runtime_data: JSON, exactly as it was hashed.
        trailing: what follows; padding of the NV index.
    """

    version: int
    report_size: int
    request_type: int
    status: int
    reserved: bytes
    runtime_version: int
    report_type: int
    hash_type: int
    hardware: bytes
    runtime_data: bytes
    trailing: bytes

    @property
    def snp_report(self) -> bytes:
        """The SNP report.

        Raises:
            MalformedError: the hardware is another one.
        """
        self._expect(ReportType.SNP)
        return self.hardware[:SNP_REPORT_SIZE]

    @property
    def td_report(self) -> bytes:
        """The TDREPORT, from which the quoting enclave makes a quote.

        Raises:
            MalformedError: the hardware is another one.
        """
        self._expect(ReportType.TDX)
        return self.hardware[:TD_REPORT_SIZE]

    def _expect(self, report_type: ReportType) -> None:
        if self.report_type != report_type:
            raise MalformedError(
                f"HCL report is of type {self.report_type}, expected {report_type} ({report_type.name})",
                hint="does the variant name the hardware of this machine?",
            )


def parse_hcl(blob: bytes) -> HclReport:
    """Read a report.

    Args:
        blob: contents of the NV index, padding included.

    Raises:
        MalformedError: another signature, truncated, or sizes that contradict each other.
    """
    if len(blob) > MAX_SIZE:
        raise MalformedError(f"HCL report has {len(blob)} bytes, at most {MAX_SIZE} are read")
    if len(blob) < _RUNTIME_START:
        raise MalformedError(f"HCL report has {len(blob)} bytes, its headers alone have {_RUNTIME_START}")
    signature, version, report_size, request_type, status, reserved = _HEADER.unpack_from(blob)
    if signature != SIGNATURE:
        raise MalformedError(f"HCL report begins with {signature!r}, expected {SIGNATURE!r}")
    hardware = blob[_HEADER.size : _HEADER.size + _HARDWARE_SIZE]
    sizes_and_types = _RUNTIME_HEADER.unpack_from(blob, _HEADER.size + _HARDWARE_SIZE)
    data_size, runtime_version, report_type, hash_type, runtime_size = sizes_and_types
    end = _RUNTIME_START + runtime_size
    if data_size != _RUNTIME_HEADER.size + runtime_size or end > len(blob):
        raise MalformedError(f"HCL report: {runtime_size} bytes of runtime data in {data_size}, {len(blob)} in all")
    return HclReport(
        version=version,
        report_size=report_size,
        request_type=request_type,
        status=status,
        reserved=reserved,
        runtime_version=runtime_version,
        report_type=report_type,
        hash_type=hash_type,
        hardware=hardware,
        runtime_data=blob[_RUNTIME_START:end],
        trailing=blob[end:],
    )


def build_hcl(report_type: ReportType, hardware: bytes, runtime_data: bytes) -> bytes:
    """Write a report, as the fake paravisor of `attestation.testing` does."""
    sizes = _RUNTIME_HEADER.size + len(runtime_data)
    header = _HEADER.pack(SIGNATURE, 1, _HEADER.size + _HARDWARE_SIZE + sizes, 2, 0, bytes(12))
    runtime_header = _RUNTIME_HEADER.pack(sizes, 1, report_type, HashType.SHA256, len(runtime_data))
    return header + hardware.ljust(_HARDWARE_SIZE, b"\0") + runtime_header + runtime_data
