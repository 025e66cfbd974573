# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""On what do we run? Decided by the device files of the kernel and by the maker's name in the firmware's tables.

A wrong guess does no harm: evidence says its variant, and no policy for another accepts it.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attestation.variant import Technology, Variant
from constellation_cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path("/")
_DEVICES: Final[Mapping[Technology, str]] = MappingProxyType(
    {Technology.SNP: "dev/sev-guest", Technology.TDX: "dev/tdx_guest", Technology.TPM: "dev/tpmrm0"},
)
_MAKER: Final = "sys/class/dmi/id/sys_vendor"
_PRODUCT: Final = "sys/class/dmi/id/product_name"

# Maker → the strongest technology that is there → variant; an empty maker stands for all others.
_VARIANTS: Final[Mapping[str, Mapping[Technology, Variant]]] = MappingProxyType(
    {
        "": {
            Technology.SNP: Variant.QEMU_SNP,
            Technology.TDX: Variant.QEMU_TDX,
            Technology.TPM: Variant.QEMU_VTPM,
        },
        "Amazon EC2": {Technology.SNP: Variant.AWS_SEV_SNP, Technology.TPM: Variant.AWS_NITRO_TPM},
        "Google": {
            Technology.SNP: Variant.GCP_SEV_SNP,
            Technology.TDX: Variant.GCP_TDX,
            Technology.TPM: Variant.GCP_SEV_ES,
        },
        "OpenStack": {
            Technology.SNP: Variant.QEMU_SNP,
            Technology.TDX: Variant.QEMU_TDX,
            Technology.TPM: Variant.OPENSTACK_VTPM,
        },
    },
)
_AZURE: Final = "Microsoft Corporation"


def detect_variant(root: Path = ROOT) -> Variant:
    """Find out the variant of this machine.

    Args:
        root: the file system; another only for tests.

    Raises:
        CommandError: there is no device, or the machine does not say enough.
    """
    maker = _maker(root)
    if maker == _AZURE:
        # The paravisor hides the technology from its guest.
        raise CommandError(
            "on Azure the machine does not say its variant", hint="add --variant azure-sev-snp (or azure-tdx, …)"
        )
    for technology, device in _DEVICES.items():
        if (root / device).exists():
            variant = _VARIANTS[maker].get(technology)
            if variant is None:
                raise CommandError(f"{maker} with {technology} is no variant that is known", hint="name it: --variant")
            return variant
    raise CommandError(
        f"no device here signs evidence: none of {', '.join(f'/{device}' for device in _DEVICES.values())} exists",
        hint="run this on a node; a TPM elsewhere is named by --tpm (tcp://HOST:PORT, unix:///PATH)",
    )


def _maker(root: Path) -> str:
    names = [_first_line(root / _MAKER), _first_line(root / _PRODUCT)]
    for maker in (_AZURE, *_VARIANTS):
        if maker and any(name.startswith(maker) for name in names):
            return maker
    return ""


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
