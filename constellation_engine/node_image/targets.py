# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What an image can be built for, and how much it lets people in: closed sets, with what follows from them."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Final

from attestation.variant import Variant
from constellation_engine.errors import NodeImageError

NAME: Final = "constellation-node"


class Platform(StrEnum):
    """Whose machines: consoles and drivers differ. Each is a profile of images/node."""

    QEMU = "qemu"
    OPENSTACK = "openstack"
    AZURE = "azure"
    AWS = "aws"
    GCP = "gcp"


class Profile(StrEnum):
    """How much an image lets people in. Each is another image, with other measurements."""

    RELEASE = "release"
    DEBUG = "debug"
    EMERGENCY_ACCESS = "emergency-access"

    @classmethod
    def named(cls, name: str) -> Profile:
        """Find a profile.

        Raises:
            NodeImageError: there is none of this name.
        """
        if name not in [profile.value for profile in cls]:
            raise NodeImageError(f"expected the name of a profile, got {name}", hint=f"there are: {', '.join(cls)}")
        return cls(name)

    @property
    def is_for_secrets(self) -> bool:
        """Whether secrets may be given to such a node."""
        return self is not Profile.DEBUG


class Target(Enum):
    """What an image is built for. The value is the name of the variant that judges it."""

    QEMU_VTPM = Variant.QEMU_VTPM
    QEMU_SNP = Variant.QEMU_SNP
    QEMU_TDX = Variant.QEMU_TDX
    OPENSTACK_VTPM = Variant.OPENSTACK_VTPM
    AZURE_SEV_SNP = Variant.AZURE_SEV_SNP
    AZURE_TDX = Variant.AZURE_TDX
    AZURE_TRUSTED_LAUNCH = Variant.AZURE_TRUSTED_LAUNCH
    AWS_SEV_SNP = Variant.AWS_SEV_SNP
    AWS_NITRO_TPM = Variant.AWS_NITRO_TPM
    GCP_SEV_SNP = Variant.GCP_SEV_SNP
    GCP_SEV_ES = Variant.GCP_SEV_ES
    GCP_TDX = Variant.GCP_TDX

    @classmethod
    def named(cls, name: str) -> Target:
        """Find a target.

        Raises:
            NodeImageError: there is none of this name.
        """
        for target in cls:
            if target.value.value == name:
                return target
        names = ", ".join(target.value.value for target in cls)
        raise NodeImageError(f"expected the name of a target, got {name}", hint=f"there are: {names}")

    @property
    def variant(self) -> Variant:
        """Who judges the image."""
        return self.value

    @property
    def platform(self) -> Platform:
        """Whose machines it is for."""
        return Platform(self.value.value.partition("-")[0])

    @property
    def boots_kernel_directly(self) -> bool:
        """Whether the firmware is handed kernel, initrd and command line, whose hashes the launch digest covers."""
        return self is Target.QEMU_SNP
