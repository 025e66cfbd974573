# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""OVMF, the firmware of machines: found wherever the distribution put it, and copied for each machine.

Distributions describe their firmware in JSON (QEMU docs/interop/firmware.json); where one does not, we look at the
places that are known. A machine keeps the firmware that it was made with: its variables fit no other.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from constellation_engine.errors import MissingProgramError
from constellation_engine.machines.disks import ImageFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DESCRIPTIONS: Final = (
    Path("/etc/qemu/firmware"),
    Path("/usr/share/qemu/firmware"),
    Path("/usr/local/share/qemu/firmware"),
)
"""Folders with descriptions, the most important first: a file hides one of the same name in a later folder."""

_UNWANTED: Final = {"secure-boot", "enrolled-keys", "requires-smm", "amd-sev-snp", "intel-tdx"}
_KNOWN: Final = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),  # Debian, Ubuntu
    ("/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2", "/usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2"),  # Fedora
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),  # older ones of it
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),  # Arch
    ("/usr/share/qemu/ovmf-x86_64-4m-code.bin", "/usr/share/qemu/ovmf-x86_64-4m-vars.bin"),  # openSUSE
    ("/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"),  # QEMU's own
)
_KNOWN_SNP: Final = (
    "/usr/share/OVMF/OVMF.amdsev.fd",  # Debian from 14 on
    "/usr/share/ovmf/OVMF.amdsev.fd",  # Ubuntu
    "/usr/share/edk2/ovmf/OVMF.amdsev.fd",  # Fedora
    "/usr/share/qemu/ovmf-x86_64-sev.bin",  # openSUSE
)


@dataclass(frozen=True, slots=True)
class Firmware:
    """Firmware in files.

    Attributes:
        code: what the machine runs.
        variables: contents of its flash memory at the first boot; None where it has none.
    """

    code: Path
    variables: Path | None

    def copy_to(self, folder: Path) -> None:
        """Copy it into the folder of a machine."""
        shutil.copyfile(self.code, folder / f"firmware.{ImageFormat.of(self.code)}")
        if self.variables:
            shutil.copyfile(self.variables, folder / f"variables.{ImageFormat.of(self.variables)}")


def firmware_of(folder: Path) -> Firmware:
    """Give the firmware that was copied into the folder of a machine.

    Raises:
        MissingProgramError: there is none.
    """
    code = next(folder.glob("firmware.*"), None)
    if code is None:
        raise MissingProgramError(f"{folder}: expected the firmware of the machine", hint="destroy it, make it anew")
    return Firmware(code, next(folder.glob("variables.*"), None))


def find_ovmf(descriptions: Sequence[Path] = DESCRIPTIONS, known: Iterable[tuple[str, str]] = _KNOWN) -> Firmware:
    """Find OVMF with flash memory, without Secure Boot: the image is measured, not signed.

    Args:
        descriptions: folders with descriptions.
        known: places of code and variables, where nothing is described.

    Raises:
        MissingProgramError: there is none; says which package has it.
    """
    candidates = (*_described(descriptions), *(Firmware(Path(code), Path(variables)) for code, variables in known))
    for firmware in candidates:
        if firmware.code.is_file() and firmware.variables and firmware.variables.is_file():
            return firmware
    hint = "install the package ovmf (Debian), edk2-ovmf (Fedora, Arch) or qemu-ovmf-x86_64 (openSUSE)"
    raise MissingProgramError("the firmware OVMF is not installed", hint=hint)


def find_snp_ovmf(known: Iterable[str] = _KNOWN_SNP) -> Firmware:
    """Find the build of OVMF that measures kernel, initrd and command line (OvmfPkg/AmdSev).

    Raises:
        MissingProgramError: there is none; says which package has it.
    """
    for code in map(Path, known):
        if code.is_file():
            return Firmware(code, None)
    hint = "install the package ovmf-amdsev (Debian, Ubuntu), edk2-ovmf (Fedora) or qemu-ovmf-x86_64 (openSUSE)"
    raise MissingProgramError("the firmware OVMF for SEV-SNP is not installed", hint=hint)


def _described(folders: Sequence[Path]) -> Iterator[Firmware]:
    """Give the firmware that is described as fit for our machines, in the order of preference."""
    files: dict[str, Path] = {}
    for folder in reversed(folders):
        files |= {file.name: file for file in folder.glob("*.json")}
    for name in sorted(files):
        try:
            description = json.loads(files[name].read_text(encoding="utf-8"))
            firmware = _read(description) if _fits(description) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # it is not ours to repair, and another may do
        if firmware:
            yield firmware


def _fits(description: dict[str, Any]) -> bool:
    machines = [
        machine
        for target in description["targets"]
        if target["architecture"] == "x86_64"
        for machine in target["machines"]
    ]
    return (
        "uefi" in description["interface-types"]
        and any(machine.startswith("pc-q35-") for machine in machines)
        and _UNWANTED.isdisjoint(description["features"])
    )


def _read(description: dict[str, Any]) -> Firmware | None:
    mapping = description["mapping"]
    if mapping["device"] != "flash" or mapping.get("mode", "split") != "split":
        return None
    return Firmware(Path(mapping["executable"]["filename"]), Path(mapping["nvram-template"]["filename"]))
