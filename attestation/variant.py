# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The twelve platforms whose evidence we judge, and `insecure`, which is none.

Everything that differs between them and is not code of a technology is decided here, in one place.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Technology(StrEnum):
    """A device that signs evidence."""

    TPM = "tpm"
    SNP = "snp"
    TDX = "tdx"


class HardwareRoot(StrEnum):
    """How far down the trust of a variant reaches; every verdict says it."""

    CPU = "CPU"
    CPU_AND_PARAVISOR = "CPU and the cloud's paravisor"
    CPU_AND_HYPERVISOR_TPM = "CPU; the vTPM is the hypervisor's"
    NONE = "none"


class RegisterPolicy(StrEnum):
    """What a policy usually asks of a register."""

    ENFORCED = "enforced"
    RECORDED = "recorded"
    MARK = "mark"


class _Traits(NamedTuple):
    technologies: frozenset[Technology]
    hardware_root: HardwareRoot


_TPM = frozenset({Technology.TPM})
_SNP = frozenset({Technology.SNP})
_TDX = frozenset({Technology.TDX})


class Variant(Enum):
    """A platform. The value is its name in evidence, policy and configuration."""

    QEMU_VTPM = "qemu-vtpm"
    OPENSTACK_VTPM = "openstack-vtpm"
    QEMU_SNP = "qemu-snp"
    QEMU_TDX = "qemu-tdx"
    AZURE_SEV_SNP = "azure-sev-snp"
    AZURE_TDX = "azure-tdx"
    AZURE_TRUSTED_LAUNCH = "azure-trusted-launch"
    AWS_SEV_SNP = "aws-sev-snp"
    AWS_NITRO_TPM = "aws-nitro-tpm"
    GCP_SEV_SNP = "gcp-sev-snp"
    GCP_SEV_ES = "gcp-sev-es"
    GCP_TDX = "gcp-tdx"
    INSECURE = "insecure"

    def __str__(self) -> str:
        """Give the name."""
        return self.value

    @property
    def technologies(self) -> frozenset[Technology]:
        """Devices that must sign, all of them: a missing part is a refusal."""
        return _TRAITS[self].technologies

    @property
    def hardware_root(self) -> HardwareRoot:
        """What the verdict says about the root of trust."""
        return _TRAITS[self].hardware_root

    @property
    def registers(self) -> tuple[str, ...]:
        """Names of the registers that evidence of this variant holds, in order."""
        if Technology.TPM in self.technologies:
            return tuple(str(index) for index in range(24))
        if Technology.TDX in self.technologies:
            return ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3")
        return ()

    @property
    def register_width(self) -> int:
        """Bytes in a register: SHA-256 bank of a TPM, SHA-384 of TDX; 0 without registers."""
        if not self.registers:
            return 0
        return 32 if Technology.TPM in self.technologies else 48

    @property
    def mark_register(self) -> str | None:
        """The register that a node extends with its cluster; None where there is none."""
        if Technology.TPM in self.technologies:
            return "15"
        return "rtmr3" if Technology.TDX in self.technologies else None

    @property
    def default_registers(self) -> Mapping[str, RegisterPolicy]:
        """What a policy for our node image asks of each register.

        Firmware registers belong to whoever owns the firmware: they are recorded. Boot loader, command line, initrd
        and the sections of the UKI are ours, and predicted.
        """
        if Technology.TPM in self.technologies:
            return _TPM_REGISTERS
        return _TDX_REGISTERS if Technology.TDX in self.technologies else MappingProxyType({})

    @classmethod
    def with_technology(cls, technology: Technology) -> frozenset[Variant]:
        """All variants in which this device signs."""
        return frozenset(variant for variant in cls if technology in variant.technologies)


_TRAITS: Mapping[Variant, _Traits] = MappingProxyType(
    {
        Variant.QEMU_VTPM: _Traits(_TPM, HardwareRoot.NONE),
        Variant.OPENSTACK_VTPM: _Traits(_TPM, HardwareRoot.NONE),
        Variant.QEMU_SNP: _Traits(_SNP, HardwareRoot.CPU),
        Variant.QEMU_TDX: _Traits(_TDX, HardwareRoot.CPU),
        Variant.AZURE_SEV_SNP: _Traits(_SNP | _TPM, HardwareRoot.CPU_AND_PARAVISOR),
        Variant.AZURE_TDX: _Traits(_TDX | _TPM, HardwareRoot.CPU_AND_PARAVISOR),
        Variant.AZURE_TRUSTED_LAUNCH: _Traits(_TPM, HardwareRoot.NONE),
        Variant.AWS_SEV_SNP: _Traits(_SNP | _TPM, HardwareRoot.CPU_AND_HYPERVISOR_TPM),
        Variant.AWS_NITRO_TPM: _Traits(_TPM, HardwareRoot.NONE),
        Variant.GCP_SEV_SNP: _Traits(_SNP | _TPM, HardwareRoot.CPU_AND_HYPERVISOR_TPM),
        Variant.GCP_SEV_ES: _Traits(_TPM, HardwareRoot.NONE),
        Variant.GCP_TDX: _Traits(_TDX, HardwareRoot.CPU),
        Variant.INSECURE: _Traits(frozenset(), HardwareRoot.NONE),
    },
)

_TPM_REGISTERS: Mapping[str, RegisterPolicy] = MappingProxyType(
    {str(index): RegisterPolicy.RECORDED for index in (*range(4), *range(5, 8), 14)}
    | {str(index): RegisterPolicy.ENFORCED for index in (4, 9, 11, 12, 13)}
    | {"15": RegisterPolicy.MARK},
)

_TDX_REGISTERS: Mapping[str, RegisterPolicy] = MappingProxyType(
    {"mrtd": RegisterPolicy.ENFORCED, "rtmr0": RegisterPolicy.RECORDED}
    | dict.fromkeys(("rtmr1", "rtmr2"), RegisterPolicy.ENFORCED)
    | {"rtmr3": RegisterPolicy.MARK},
)
