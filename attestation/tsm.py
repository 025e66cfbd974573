# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Reports of the confidential machine we run in, by the kernel's configfs-TSM interface.

One interface for AMD SEV-SNP and Intel TDX: make an entry, write what is to be signed into `inblob`, read the signed
report from `outblob`. After Documentation/ABI/testing/configfs-tsm-report, Linux 6.7 and later.
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from attestation.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY: Final = Path("/sys/kernel/config/tsm/report")
INBLOB_SIZE: Final = 64  # bytes of REPORT_DATA, on both technologies
MAX_OUTBLOB: Final = 32 * 1024  # bytes, the kernel's limit
PRIVILEGE_LEVELS: Final = range(4)


class TsmProvider(StrEnum):
    """Drivers that answer, by the name that the kernel gives them."""

    SNP = "sev_guest"
    TDX = "tdx_guest"


@dataclass(frozen=True, slots=True)
class TsmReport:
    """What the machine signed.

    Attributes:
        outblob: SNP report or TD quote.
        auxblob: certificate table of the host (SNP); empty where there is none.
    """

    outblob: bytes
    auxblob: bytes = b""


class TsmFiles(Protocol):
    """The files below the report directory; every method raises OSError as the kernel does."""

    def make(self, entry: str) -> None:
        """Make the directory of an entry; the kernel puts its files there."""

    def remove(self, entry: str) -> None:
        """Remove the directory of an entry."""

    def read(self, entry: str, attribute: str) -> bytes:
        """Read a file of an entry."""

    def write(self, entry: str, attribute: str, value: bytes) -> None:
        """Write a file of an entry."""


@dataclass(frozen=True, slots=True)
class ConfigfsFiles:
    """The kernel's files.

    Attributes:
        directory: where configfs shows them.
    """

    directory: Path = DIRECTORY

    def make(self, entry: str) -> None:
        """Make the directory of an entry."""
        (self.directory / entry).mkdir()

    def remove(self, entry: str) -> None:
        """Remove the directory of an entry; its files go with it."""
        (self.directory / entry).rmdir()

    def read(self, entry: str, attribute: str) -> bytes:
        """Read a file of an entry."""
        return (self.directory / entry / attribute).read_bytes()

    def write(self, entry: str, attribute: str, value: bytes) -> None:
        """Write a file of an entry, in one call as binary attributes demand."""
        with (self.directory / entry / attribute).open("r+b", buffering=0) as file:
            file.write(value)


class TsmReports:
    """Asks the kernel for reports.

    Args:
        files: the kernel's files; others only for tests (`attestation.testing.tsm`).
    """

    def __init__(self, files: TsmFiles | None = None) -> None:
        self._files: TsmFiles = files if files is not None else ConfigfsFiles()

    def request(self, inblob: bytes, provider: TsmProvider, *, privilege_level: int | None = None) -> TsmReport:
        """Have a report signed.

        Args:
            inblob: 64 bytes for the report to carry.
            provider: the driver that must answer.
            privilege_level: VMPL to ask for, 0 to 3; None for the driver's default. SNP only.

        Raises:
            DeviceError: no such interface or driver, no permission, no answer, or somebody else wrote into our entry.
        """
        if len(inblob) != INBLOB_SIZE:
            message = f"a report carries {INBLOB_SIZE} bytes, not {len(inblob)}"
            raise ValueError(message)
        writes = {"inblob": inblob}
        if privilege_level is not None:
            if privilege_level not in PRIVILEGE_LEVELS:
                message = f"privilege level {privilege_level} is not one of 0 to 3"
                raise ValueError(message)
            writes["privlevel"] = str(privilege_level).encode("ascii")
        with self._entry() as entry:
            self._check_provider(entry, provider)
            return self._exchange(entry, writes)

    @contextmanager
    def _entry(self) -> Iterator[str]:
        # A name of our own: two processes that share an entry would get each other's reports.
        name = f"constellation-{os.getpid()}-{secrets.token_hex(8)}"
        try:
            self._files.make(name)
        except OSError as error:
            raise _no_entry(error) from error
        try:
            yield name
        finally:
            with suppress(OSError):
                self._files.remove(name)

    def _check_provider(self, entry: str, expected: TsmProvider) -> None:
        got = self._read(entry, "provider").decode("ascii", "replace").strip()
        if got != expected:
            raise DeviceError(
                f"reports of this machine come from {got}, expected {expected}",
                hint="collect evidence of the variant that this machine is",
            )

    def _exchange(self, entry: str, writes: dict[str, bytes]) -> TsmReport:
        expected = self._generation(entry) + len(writes)
        for attribute, value in writes.items():
            self._write(entry, attribute, value)
        report = TsmReport(self._read(entry, "outblob"), self._read_optional(entry, "auxblob"))
        # The kernel counts writes. It does not report a failed write of a binary attribute in any other way.
        if (got := self._generation(entry)) != expected:
            raise DeviceError(
                f"report entry is at generation {got}, expected {expected}: a write was lost, or somebody else wrote",
                hint="try again",
            )
        if not 0 < len(report.outblob) <= MAX_OUTBLOB:
            raise DeviceError(f"the kernel gave a report of {len(report.outblob)} bytes")
        return report

    def _generation(self, entry: str) -> int:
        text = self._read(entry, "generation").strip()
        if not text.isdigit():
            raise DeviceError(f"the kernel gave {text[:32]!r} as generation of a report entry")
        return int(text)

    def _read_optional(self, entry: str, attribute: str) -> bytes:
        try:
            return self._files.read(entry, attribute)
        except FileNotFoundError:  # the driver has no such attribute
            return b""
        except OSError as error:
            raise _no_answer(f"read {attribute}", error) from error

    def _read(self, entry: str, attribute: str) -> bytes:
        try:
            return self._files.read(entry, attribute)
        except OSError as error:
            raise _no_answer(f"read {attribute}", error) from error

    def _write(self, entry: str, attribute: str, value: bytes) -> None:
        try:
            self._files.write(entry, attribute, value)
        except OSError as error:
            raise _no_answer(f"write {attribute}", error) from error


def _no_entry(error: OSError) -> DeviceError:
    reason = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        return DeviceError(f"no permission to ask the kernel for a report ({reason})", hint="run as root")
    if error.errno == errno.ENXIO:
        return DeviceError(
            "the kernel has no driver that gives reports",
            hint="load tdx_guest or sev-guest; on a machine that is not confidential there is none",
        )
    return DeviceError(
        f"the kernel offers no attestation reports ({reason})",
        hint=f"{DIRECTORY} needs Linux 6.7 with CONFIG_TSM_REPORTS, configfs mounted, and a confidential machine",
    )


def _no_answer(action: str, error: OSError) -> DeviceError:
    return DeviceError(
        f"the kernel gave no report: {action} failed ({error.strerror or error})",
        hint="the host answers such requests: is its quoting or certificate service running?",
    )
