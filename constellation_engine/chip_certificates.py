# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Certificates of an SEV-SNP host's processor, kept in a folder: AMD's service limits how often it is asked.

    chip = Chip(Product.MILAN, chip_id, reported_tcb)
    if not_kept(chip, folder):
        keep(chip, folder, Kds(HttpsTransport()))

The chain of the product line ships with `attestation`, and its root is pinned there; only the certificate of the chip
is fetched (AMD 57230). It is of the key for one TCB: after an update of the firmware there is another one to fetch.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from attestation.errors import EndorsementError
from attestation.roots import VENDOR_ROOTS, Roots
from attestation.snp.chain import shipped_chain
from attestation.snp.report import SigningKey
from attestation.snp.verify import verify_endorsement
from constellation_engine.whole_files import whole_file

if TYPE_CHECKING:
    from pathlib import Path

    from attestation.snp.kds import Kds
    from attestation.snp.product import Product


@dataclass(frozen=True, slots=True)
class Chip:
    """A processor with the firmware that it has.

    Attributes:
        product: its product line.
        chip_id: 64 bytes; the line may use fewer.
        reported_tcb: 8 bytes, which its reports carry.
    """

    product: Product
    chip_id: bytes
    reported_tcb: bytes

    @property
    def chain_file(self) -> str:
        """Name of the file with ASK and ARK, PEM."""
        return f"{self.product.lower()}-chain.pem"

    @property
    def certificate_file(self) -> str:
        """Name of the file with the VCEK for this TCB, DER."""
        return f"vcek-{self.reported_tcb.hex()}.der"


def not_kept(chip: Chip, folder: Path) -> tuple[str, ...]:
    """Name the files that a folder lacks."""
    return tuple(name for name in (chip.chain_file, chip.certificate_file) if not (folder / name).is_file())


def keep(
    chip: Chip,
    folder: Path,
    kds: Kds,
    *,
    roots: Roots = VENDOR_ROOTS,
    chain: tuple[bytes, bytes] | None = None,
    at: datetime | None = None,
) -> None:
    """Fetch the certificate of a chip, and write it with the chain above it.

    Args:
        chip: whose.
        folder: made if it is not there; others may read it, nothing is secret.
        kds: AMD's service.
        roots: pinned keys.
        chain: DER of ASK and ARK; None for those that ship with the library.
        at: now, aware UTC; None for the clock's.

    Raises:
        EndorsementError: the service does not have it or cannot be reached, or gave that of another chip.
        AttestationError: AMD does not vouch for what it gave.
    """
    signer, root = chain or shipped_chain(chip.product, SigningKey.VCEK)
    tcb = chip.product.tcb(chip.reported_tcb)
    certificate = kds.vcek(chip.product, chip.chip_id, tcb)
    endorsement = verify_endorsement(
        (certificate, signer, root), kind=SigningKey.VCEK, at=at or datetime.now(UTC), roots=roots
    )
    if endorsement.chip_id != chip.chip_id[: chip.product.chip_id_size] or dict(endorsement.tcb) != tcb:
        raise EndorsementError(
            "expected the certificate of this chip and its TCB, the service gave another one",
            hint="are product, chip_id and reported_tcb those of snp_host_info?",
        )
    folder.mkdir(parents=True, exist_ok=True)
    pem = "".join(map(ssl.DER_cert_to_PEM_cert, (signer, root))).encode("ascii")
    for name, content in ((chip.chain_file, pem), (chip.certificate_file, certificate)):
        with whole_file(folder / name, mode=0o644) as file:
            file.write_bytes(content)
