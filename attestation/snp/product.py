# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""AMD's product lines: how the CPU names itself, and where each keeps its security versions.

Sources: AMD 57230 (VCEK and KDS), AMD 56860 (SEV-SNP ABI, "TCB version" and CPUID fields of the report).
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TCB_SIZE: Final = 8  # bytes
TCB_COMPONENTS: Final = ("bootloader", "tee", "snp", "microcode", "fmc")

_ZEN3_TO_ZEN4: Final = MappingProxyType({"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7})
_ZEN5: Final = MappingProxyType({"fmc": 0, "bootloader": 1, "tee": 2, "snp": 3, "microcode": 7})


class Product(StrEnum):
    """A product line; the value is AMD's name in certificates and addresses."""

    MILAN = "Milan"
    GENOA = "Genoa"
    TURIN = "Turin"

    @property
    def tcb_layout(self) -> Mapping[str, int]:
        """Component → byte of the 8-byte TCB version."""
        return _ZEN5 if self is Product.TURIN else _ZEN3_TO_ZEN4

    @property
    def chip_id_size(self) -> int:
        """Bytes of the chip id that mean something; the rest of the field is zero."""
        return 8 if self is Product.TURIN else 64

    def tcb(self, raw: bytes) -> dict[str, int]:
        """Split a TCB version into its components.

        Args:
            raw: 8 bytes as in the report.
        """
        return {component: raw[index] for component, index in self.tcb_layout.items()}

    def pack_tcb(self, components: Mapping[str, int]) -> bytes:
        """Put components together into the 8 bytes of a report; what is not named is zero."""
        raw = bytearray(TCB_SIZE)
        for component, version in components.items():
            raw[self.tcb_layout[component]] = version
        return bytes(raw)

    @classmethod
    def from_cpuid(cls, family: int, model: int) -> Product | None:
        """Find the line of a CPU; None where it is not known.

        Args:
            family: combined extended and base family of CPUID 1.
            model: combined extended and base model.
        """
        for (known_family, models), product in _CPUID.items():
            if family == known_family and model in models:
                return product
        return None

    @classmethod
    def from_name(cls, name: str) -> Product | None:
        """Find the line of a certificate's product name ("Milan-B0"); None where it is not known."""
        line = name.partition("-")[0]
        return next((product for product in cls if line in (product.value, *_SIBLINGS.get(product, ()))), None)


# Keys of Bergamo and Siena (models A0h to AFh) are certified by Genoa's authorities.
_SIBLINGS: Final = MappingProxyType({Product.GENOA: ("Bergamo", "Siena")})
_CPUID: Final = MappingProxyType(
    {
        (0x19, range(0x10)): Product.MILAN,
        (0x19, range(0x10, 0x20)): Product.GENOA,
        (0x19, range(0xA0, 0xB0)): Product.GENOA,
        (0x1A, range(0x12)): Product.TURIN,
    },
)
