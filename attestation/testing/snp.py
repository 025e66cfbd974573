# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
r"""An AMD made of software, and its machines: chains and reports that verify, until one line breaks one property.

    amd = FakeAmd()
    machine = amd.machine(Product.GENOA)
    verdict = judge(..., roots=amd.roots)                     # genuine

    machine.debug = True                                      # the host may read the guest's memory
    machine.vmpl = 2                                          # someone else than the kernel asked
    machine.certificate_tcb = machine.tcb | {"snp": 1}        # a key of another patch level
    machine.hwid = bytes(64)                                  # the key of another chip
    machine.certified_by = FakeAmd("mallory").signer(Product.GENOA)   # an own authority
    machine.signature_r ^= 1                                  # a broken signature
    machine.reserved[0x210] = b"\x01"                         # bits that the version does not define

Layouts: AMD 56860 ("ATTESTATION_REPORT"), AMD 57230 (certificates).
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from attestation.roots import Roots
from attestation.snp.product import Product
from attestation.snp.report import SigningKey
from attestation.testing.amd_authority import RSA_BITS, RSA_EXPONENT, Authority
from attestation.testing.snp_machine import FakeMachine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

# Serial numbers of ARK, ASK and ASVK, as AMD gave them.
_SERIALS: Final = MappingProxyType(
    {
        Product.MILAN: (0x010000, 0x010001, 0x010101),
        Product.GENOA: (0x020000, 0x020002, 0x020101),
        Product.TURIN: (0x030000, 0x030001, 0x030101),
    },
)
_TCB: Final = MappingProxyType(
    {
        Product.MILAN: {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219},
        Product.GENOA: {"bootloader": 10, "tee": 0, "snp": 25, "microcode": 84},
        Product.TURIN: {"fmc": 1, "bootloader": 1, "tee": 1, "snp": 4, "microcode": 81},
    },
)


@dataclass(frozen=True, slots=True)
class FakeAmd:
    """An AMD. Two of the same name are the same one: keys are made once in a process, when first needed.

    Attributes:
        name: tells it from others, e.g. from an impostor; certificates do not show it.
    """

    name: str = "amd"

    def root(self, product: Product) -> Authority:
        """ARK of a product line."""
        return _root(self.name, product)

    def signer(self, product: Product, kind: SigningKey = SigningKey.VCEK) -> Authority:
        """ASK of a product line, or ASVK for VLEK."""
        return _signer(self.name, product, kind)

    @property
    def roots(self) -> Roots:
        """What makes a verifier believe this AMD, and no other vendor."""
        return Roots(amd=frozenset(self.root(product).fingerprint for product in Product), intel=frozenset())

    def machine(
        self,
        product: Product = Product.MILAN,
        *,
        tcb: Mapping[str, int] | None = None,
        chip_id: bytes | None = None,
        signing_key: SigningKey = SigningKey.VCEK,
    ) -> FakeMachine:
        """Build a machine.

        Args:
            product: its product line.
            tcb: component → security version; what is not named is as by default.
            chip_id: 64 bytes, 8 for Turin; by default the same for every machine of a line.
            signing_key: what its reports are signed with.
        """
        default = hashlib.sha512(product.encode()).digest()[: product.chip_id_size]
        return FakeMachine(
            amd=self,
            product=product,
            tcb=_TCB[product] | dict(tcb or {}),
            chip_id=default if chip_id is None else chip_id,
            signing_key=signing_key,
        )

    def crl(
        self,
        product: Product,
        *,
        this_update: datetime,
        next_update: datetime,
        revoked: Sequence[int] = (),
    ) -> bytes:
        """Make the revocation list of a product line.

        Args:
            product: its ARK signs.
            this_update: when it was made, aware UTC.
            next_update: when the next one comes, aware UTC.
            revoked: serial numbers, e.g. `amd.signer(product).serial`.

        Returns:
            DER.
        """
        return self.root(product).revoke(revoked, this_update=this_update, next_update=next_update)


@functools.cache
def _root(owner: str, product: Product) -> Authority:  # noqa: ARG001 - it tells one key from another
    return Authority(
        common_name=f"ARK-{product}",
        serial=_SERIALS[product][0],
        key=_new_rsa_key(),
        crl_address=_crl_address(product, SigningKey.VCEK),
    )


@functools.cache
def _signer(owner: str, product: Product, kind: SigningKey) -> Authority:
    vlek = kind is SigningKey.VLEK
    return Authority(
        common_name=f"SEV-VLEK-{product}" if vlek else f"SEV-{product}",
        serial=_SERIALS[product][2 if vlek else 1],
        key=_new_rsa_key(),
        parent=_root(owner, product),
        crl_address=_crl_address(product, kind),
    )


def _crl_address(product: Product, kind: SigningKey) -> str:
    return f"https://kdsintf.amd.com/{'vlek' if kind is SigningKey.VLEK else 'vcek'}/v1/{product}/crl"


def _new_rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(RSA_EXPONENT, RSA_BITS)
