# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What SEV-SNP will measure when a machine is launched: the launch digest, predicted from files.

It covers the firmware, hashes of kernel, initrd and command line, and the first state of every virtual processor, so
that each number and each model of processors has a digest of its own (SEV-SNP ABI § 8.17; extra `build`:
sev-snp-measure does all of it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from constellation_engine.errors import MachineSpecError, MissingProgramError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from constellation_engine.machines.spec import DirectBoot, VcpuModel

GUEST_FEATURES: Final = 0x1
"""SEV_FEATURES of every processor: SNP and nothing else, as QEMU launches them."""


@dataclass(frozen=True, slots=True)
class Processors:
    """What the digest depends on besides files.

    Attributes:
        number: of virtual processors.
        model: of each.
    """

    number: int
    model: VcpuModel


def launch_digests(firmware: Path, boot: DirectBoot, processors: Iterable[Processors]) -> Mapping[Processors, bytes]:
    """Predict the launch digest for each number and model of processors.

    Args:
        firmware: the AmdSev build of OVMF, which looks at the hashes of what is booted.
        boot: what is booted.
        processors: that machines may have.

    Returns:
        48 bytes each.

    Raises:
        MissingProgramError: the extra `build` is not installed.
        MachineSpecError: a file cannot be read, or the firmware does not measure what is booted.
    """
    try:
        # An extra, which few commands need; it does not say its types.
        from sevsnpmeasure import guest, sev_mode, vcpu_types  # type: ignore[import-untyped] # noqa: PLC0415
    except ImportError as error:
        hint = "pip install 'constellation-kubernetes[build]'"
        raise MissingProgramError(f"launch digests need sev-snp-measure: {error}", hint=hint) from None
    try:
        firmware_digest = guest.calc_snp_ovmf_hash(str(firmware)).hex()  # the same for all of them
        return {
            one: guest.calc_launch_digest(
                sev_mode.SevMode.SEV_SNP,
                one.number,
                vcpu_types.CPU_SIGS[one.model.value],
                str(firmware),
                str(boot.kernel),
                str(boot.initrd),
                boot.command_line,
                GUEST_FEATURES,
                firmware_digest,
            )
            for one in processors
        }
    except (OSError, RuntimeError, ValueError) as error:
        hint = "the firmware must be OVMF built from OvmfPkg/AmdSev: Debian has it in ovmf-amdsev"
        raise MachineSpecError(f"no launch digest of {firmware} and {boot.kernel}: {error}", hint=hint) from None
