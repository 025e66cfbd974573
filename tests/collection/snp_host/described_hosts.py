# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts as their files describe them: a server with SEV-SNP, one whose BIOS does not have it on, and one of Intel's.

The words are those that such hosts show in public reports of their owners; the firmware is one that answers ioctls.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ansible_collections.constellation.core.plugins.module_utils.host_files import HostFiles
from ansible_collections.constellation.core.plugins.module_utils.sev_firmware import SevFirmware

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CHIP = bytes(range(64))
REPORTED_TCB = bytes.fromhex("04000000000018db")


@dataclass(frozen=True)
class DescribedHost:
    """A host.

    Attributes:
        files: path below the root → text.
        programs: command line → what it writes.
        firmware: whether /dev/sev is there and answers.
    """

    files: Mapping[str, str]
    programs: Mapping[str, str] = field(default_factory=dict)
    firmware: bool = False

    def but(self, path: str, text: str | None) -> DescribedHost:
        """Give the same host with another file; without it for None."""
        files = {name: old for name, old in self.files.items() if name != path}
        return replace(self, files=files if text is None else {**files, path: text})

    def saying(self, command: str, text: str) -> DescribedHost:
        """Give the same host with a program that says something else."""
        return replace(self, programs={**self.programs, command: text})

    def host(self, root: Path) -> HostFiles:
        """Write the files."""
        for path, text in self.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        return HostFiles(root, self._run)

    def sev(self, root: Path) -> SevFirmware:
        """Give the firmware."""
        device = root / "dev" / "sev"
        if self.firmware:
            device.parent.mkdir(parents=True, exist_ok=True)
            device.touch()
        return SevFirmware(device, answer)

    def _run(self, command: Sequence[str]) -> str:
        return self.programs.get(" ".join(command), "")


def answer(_descriptor: int, _number: int, request: bytearray) -> None:
    """Answer as firmware 1.55 build 31 does, with the very structures of psp-sev.h."""
    command, address, _ = struct.unpack("<IQI", request)
    answers = {
        1: struct.pack("<BBBIBI", 1, 55, 1, 0, 31, 0),
        9: struct.pack("<BBBBIII8s8s", 1, 55, 1, 1, 31, 0, 2, REPORTED_TCB, REPORTED_TCB),
    }
    if command == 8:
        buffer, length = struct.unpack("<QI", ctypes.string_at(address, 12))
        ctypes.memmove(buffer, CHIP, min(length, len(CHIP)))
        return
    ctypes.memmove(address, answers[command], len(answers[command]))


def refuse(_descriptor: int, _number: int, request: bytearray) -> None:
    """Refuse as firmware does that was not initialised."""
    struct.pack_into("<I", request, 12, 0x1)
    raise OSError(errno.EIO, "Input/output error")


def cpuinfo(vendor: str, family: int, model: int, name: str, flags: str) -> str:
    """Give the first processor of /proc/cpuinfo, and the beginning of the second."""
    return (
        f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: {name}\n"
        f"stepping\t: 1\nmicrocode\t: 0xa0011d5\nflags\t\t: {flags}\nbugs\t\t:\n\nprocessor\t: 1\nvendor_id\t: nobody\n"
    )


SNP = DescribedHost(
    files={
        "proc/cpuinfo": cpuinfo(
            "AuthenticAMD",
            25,
            1,
            "AMD EPYC 7453 28-Core Processor",
            "fpu vme svm sme sev sev_es sev_snp debug_swap",
        ),
        "proc/cmdline": 'BOOT_IMAGE=/boot/vmlinuz-6.12.43+deb13-amd64 root=UUID=0d1c ro kvm-amd.sev_snp="1" quiet\n',
        "proc/sys/kernel/osrelease": "6.12.43+deb13-amd64\n",
        "proc/meminfo": "MemTotal:       131842980 kB\nMemFree:        120411764 kB\n",
        "sys/class/dmi/id/board_name": "H12SSL-i\n",
        "sys/class/dmi/id/bios_vendor": "American Megatrends International, LLC.\n",
        "sys/class/dmi/id/bios_version": "2.9\n",
        "sys/class/dmi/id/bios_date": "05/28/2024\n",
        "sys/class/iommu/ivhd0/amd-iommu/cap": "190b640f\n",
        "sys/module/kvm_amd/parameters/sev": "Y\n",
        "sys/module/kvm_amd/parameters/sev_es": "Y\n",
        "sys/module/kvm_amd/parameters/sev_snp": "Y\n",
        "sys/fs/cgroup/misc.capacity": "sev 255\nsev_es 254\n",
        "dev/kvm": "",
        "usr/share/OVMF/OVMF.amdsev.fd": "firmware",
    },
    programs={
        "dmesg --color=never": (
            "[    0.000000] SEV-SNP: RMP table physical range [0x0000000088900000 - 0x00000000a8efffff]\n"
            "[    5.714973] ccp 0000:22:00.1: SEV API:1.55 build:31\n"
            "[    5.714987] ccp 0000:22:00.1: SEV-SNP API:1.55 build:31\n"
            "[    5.763946] kvm_amd: SEV enabled (ASIDs 255 - 509)\n"
            "[    5.763951] kvm_amd: SEV-ES enabled (ASIDs 1 - 254)\n"
            "[    5.763954] kvm_amd: SEV-SNP enabled (ASIDs 1 - 254)\n"
        ),
        "qemu-system-x86_64 --version": "QEMU emulator version 10.0.3 (Debian 1:10.0.3+ds-0+deb13u1)\n",
        "swtpm --version": "TPM emulator version 0.7.1, Copyright (c) 2014-2021 IBM Corp.\n",
    },
    firmware=True,
)
"""EPYC 7003 under Debian 13, everything switched on."""

WITHOUT_SNP = DescribedHost(
    files={
        **SNP.files,
        "proc/cpuinfo": cpuinfo("AuthenticAMD", 25, 17, "AMD EPYC 9354P 32-Core Processor", "fpu vme svm sme"),
        "proc/cmdline": "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro iommu=pt kvm_amd.sev=0\n",
        "proc/sys/kernel/osrelease": "6.6.0-rc1+\n",
        "sys/module/kvm_amd/parameters/sev": "N\n",
        "sys/module/kvm_amd/parameters/sev_es": "N\n",
        "sys/module/kvm_amd/parameters/sev_snp": "N\n",
        "sys/fs/cgroup/misc.capacity": "sev 509\nsev_es 0\n",
    },
    programs={
        "dmesg --color=never": "[    0.642786] SEV-SNP: Memory for the RMP table has not been reserved by BIOS\n",
        "qemu-system-x86_64 --version": "QEMU emulator version 8.2.2\n",
    },
)
"""EPYC 9004 whose BIOS reserved no memory for the RMP table, with an IOMMU that passes through."""

INTEL = DescribedHost(
    files={
        "proc/cpuinfo": cpuinfo("GenuineIntel", 6, 143, "Intel(R) Xeon(R) Gold 6430", "fpu vme vmx sgx"),
        "proc/cmdline": "BOOT_IMAGE=/vmlinuz intel_iommu=on\n",
        "proc/sys/kernel/osrelease": "6.12.43+deb13-amd64\n",
        "proc/meminfo": "MemTotal:       263841280 kB\n",
        "sys/class/iommu/dmar0/intel-iommu/cap": "19ed008c40780c66\n",
        "sys/module/kvm_intel/parameters/tdx": "N\n",
        "dev/kvm": "",
    },
)
"""A Xeon: its IOMMU and KVM are there, and are not what SNP needs."""
