# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""AMD's chain above the key that signs reports: ARK → ASK for VCEK, ARK → ASVK for VLEK.

The certificates ship with the package (`roots/`), so that nothing on the join path asks a vendor. They carry keys, no
trust: an ARK counts only if its key is pinned in `attestation.roots`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from attestation.errors import NotGenuineError
from attestation.snp.certificate import Certificate, parse_certificate, split_pem
from attestation.snp.report import SigningKey

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from attestation.snp.product import Product


@dataclass(frozen=True, slots=True)
class Chain:
    """Two certificates of which the lower one signs VCEKs or VLEKs.

    Attributes:
        signer: ASK or ASVK.
        root: ARK; its key is pinned and its signature on `signer` was checked.
        signer_key: its key, loaded once.
        signer_name: common name of the signer.
        root_name: common name of the root.
    """

    signer: Certificate
    root: Certificate
    signer_key: PublicKeyTypes
    signer_name: str
    root_name: str

    def check_validity(self, at: datetime) -> None:
        """Refuse outside the time in which both are valid."""
        self.root.check_validity(at)
        self.signer.check_validity(at)


@lru_cache(maxsize=16)
def load_chain(signer: bytes, root: bytes, pins: frozenset[str]) -> Chain:
    """Check a chain up to a pinned key. The answer depends on nothing but the arguments, so it is remembered.

    Args:
        signer: DER of the ASK or ASVK.
        root: DER of the ARK.
        pins: accepted SPKI SHA-256 of ARKs.

    Raises:
        MalformedError: not certificates.
        NotGenuineError: the ARK is not pinned, or a signature does not hold.
    """
    authority = parse_certificate(root)
    if authority.fingerprint not in pins:
        raise NotGenuineError(
            "snp.root",
            expected="a root key of AMD that is pinned",
            got=f"{authority.common_name} with key {authority.fingerprint}",
            hint="evidence made with attestation.testing needs the fake's roots",
        )
    authority.check_issued_by(authority)
    intermediate = parse_certificate(signer)
    intermediate.check_issued_by(authority)
    return Chain(
        signer=intermediate,
        root=authority,
        signer_key=intermediate.public_key(),
        signer_name=intermediate.common_name,
        root_name=authority.common_name,
    )


@lru_cache(maxsize=16)
def shipped_chain(product: Product, key: SigningKey) -> tuple[bytes, bytes]:
    """Give the DER of ASK or ASVK, and ARK, that ship with the package."""
    name = f"{product.lower()}_{'vlek' if key is SigningKey.VLEK else 'vcek'}.pem"
    signer, root = split_pem((files("attestation.snp") / "roots" / name).read_bytes())
    return signer, root
