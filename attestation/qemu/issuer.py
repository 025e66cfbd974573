# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Collects evidence of own servers. TDX has nothing to add: `attestation.tdx.issuer` does it all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attestation.binding import report_data
from attestation.der import read_tlv
from attestation.errors import TpmError
from attestation.evidence import Evidence
from attestation.variant import Variant

if TYPE_CHECKING:
    from attestation.snp.issuer import SnpIssuer
    from attestation.tpm.issuer import TpmEvidenceSource

# NV indexes of the certificates of endorsement keys: P-384, P-256, RSA-2048 (TCG EK Credential Profile 2.5, 2.2).
EK_CERTIFICATES: Final = (0x01C00016, 0x01C0000A, 0x01C00002)


class VtpmIssuer:
    """Issues evidence of a vTPM and nothing else.

    Args:
        variant: `qemu-vtpm` or `openstack-vtpm`.
        tpm: the vTPM.
    """

    def __init__(self, variant: Variant, tpm: TpmEvidenceSource) -> None:
        self.variant = variant
        self._tpm = tpm

    def issue(self, binding: bytes) -> Evidence:
        """Quote the registers, and add the certificate of the endorsement key where there is one.

        Args:
            binding: 32 bytes to be bound to.

        Raises:
            DeviceError: the TPM refused or failed.
        """
        certificate = self._ek_certificate()
        platform = {"ek_certificate": certificate} if certificate else {}
        return Evidence(self.variant, tpm=self._tpm.evidence(binding), platform=platform)

    def _ek_certificate(self) -> bytes:
        for index in EK_CERTIFICATES:
            try:
                return read_tlv(self._tpm.nv_read(index)).raw  # some manufacturers define the index larger
            except TpmError:
                continue
        return b""


class QemuSnpIssuer:
    """Issues evidence of a machine with SEV-SNP and no vTPM.

    Args:
        snp: what has the secure processor sign.
    """

    variant: Final = Variant.QEMU_SNP

    def __init__(self, snp: SnpIssuer) -> None:
        self._snp = snp

    def issue(self, binding: bytes) -> Evidence:
        """Have a report signed.

        Args:
            binding: 32 bytes to be bound to.

        Raises:
            DeviceError: no report was given.
            EndorsementError: nobody provides its certificate.
        """
        return Evidence(self.variant, snp=self._snp.issue(report_data(binding)))
