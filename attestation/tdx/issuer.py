# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence of the TD we run in: a quote by the kernel's report interface, and the boot log of the firmware.

The log is where the ACPI table CCEL says (UEFI 2.10, 38.4 "Confidential Computing"); Linux shows it as a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from attestation.errors import DeviceError
from attestation.evidence import Evidence, TdxEvidence
from attestation.tdx.boot_log import PART
from attestation.tsm import INBLOB_SIZE, TsmProvider, TsmReports
from attestation.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Mapping

CCEL: Final = Path("/sys/firmware/acpi/tables/data/CCEL")
MAX_CCEL_SIZE: Final = 256 * 1024  # bytes; more does not fit into evidence beside the rest


class TdxIssuer:
    """Issues evidence of a TD without a vTPM.

    Args:
        variant: `qemu-tdx` or `gcp-tdx`.
        reports: the kernel's report interface; None for the real one.
        event_log: file with the boot log.
    """

    def __init__(self, variant: Variant, reports: TsmReports | None = None, *, event_log: Path = CCEL) -> None:
        if variant not in (Variant.QEMU_TDX, Variant.GCP_TDX):
            message = f"evidence of {variant} is not a TD quote alone"
            raise ValueError(message)
        self.variant = variant
        self._reports = reports if reports is not None else TsmReports()
        self._event_log = event_log

    def issue(self, binding: bytes) -> Evidence:
        """Have a quote made that carries the binding.

        Args:
            binding: 32 bytes to be bound to.

        Raises:
            DeviceError: no quote was given, or the boot log cannot be read.
        """
        quote = request_quote(binding.ljust(INBLOB_SIZE, b"\0"), self._reports)
        return Evidence(self.variant, tdx=TdxEvidence(quote), platform=read_event_log(self._event_log))


def request_quote(report_data: bytes, reports: TsmReports | None = None) -> bytes:
    """Have a quote made.

    Args:
        report_data: 64 bytes for the quote to carry.
        reports: the kernel's report interface; None for the real one.

    Raises:
        DeviceError: no quote was given.
    """
    return (reports or TsmReports()).request(report_data, TsmProvider.TDX).outblob


def read_event_log(path: Path = CCEL) -> Mapping[str, bytes]:
    """Give the boot log as part of evidence; nothing where the firmware wrote none.

    Raises:
        DeviceError: the log is there and cannot be read, or does not fit into evidence.
    """
    try:
        log = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DeviceError(f"boot log {path} cannot be read ({error.strerror})", hint="run as root") from error
    if len(log) > MAX_CCEL_SIZE:
        raise DeviceError(f"boot log {path} has {len(log)} bytes, at most {MAX_CCEL_SIZE} fit into evidence")
    return {PART: log} if log else {}
