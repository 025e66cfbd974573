# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Collects evidence of Google Cloud. TDX has nothing to add: `attestation.tdx.issuer` does it all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attestation.binding import quote_beside_report, report_data
from attestation.der import read_tlv
from attestation.errors import TpmError
from attestation.evidence import Evidence
from attestation.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attestation.snp.issuer import SnpIssuer
    from attestation.tpm.issuer import TpmEvidenceSource

AK_CERTIFICATE: Final = 0x01C10002  # NV index; of the P-256 key, beside its template


class GcpSnpIssuer:
    """Issues evidence of a confidential VM with SEV-SNP.

    Args:
        tpm: vTPM, with the key of Google's template.
        snp: what has the secure processor sign.
    """

    variant: Final = Variant.GCP_SEV_SNP

    def __init__(self, tpm: TpmEvidenceSource, snp: SnpIssuer) -> None:
        self._tpm = tpm
        self._snp = snp

    def issue(self, binding: bytes) -> Evidence:
        """Have a report signed, then quote the registers together with its hash.

        Args:
            binding: 32 bytes to be bound to.

        Raises:
            DeviceError: a device refused or failed.
            EndorsementError: nobody provides the report's certificate.
        """
        snp = self._snp.issue(report_data(binding))
        tpm = self._tpm.evidence(quote_beside_report(binding, snp.report))
        return Evidence(self.variant, tpm=tpm, snp=snp, platform=_ak_certificate(self._tpm))


class GcpSevEsIssuer:
    """Issues evidence of a confidential VM with SEV-ES.

    Args:
        tpm: vTPM, with the key of Google's template.
    """

    variant: Final = Variant.GCP_SEV_ES

    def __init__(self, tpm: TpmEvidenceSource) -> None:
        self._tpm = tpm

    def issue(self, binding: bytes) -> Evidence:
        """Quote the registers.

        Args:
            binding: 32 bytes to be bound to.

        Raises:
            DeviceError: the TPM refused or failed.
        """
        return Evidence(self.variant, tpm=self._tpm.evidence(binding), platform=_ak_certificate(self._tpm))


def _ak_certificate(tpm: TpmEvidenceSource) -> Mapping[str, bytes]:
    """Read the certificate; a machine without one can still be judged by the Name of its key."""
    try:
        return {"ak_certificate": read_tlv(tpm.nv_read(AK_CERTIFICATE)).raw}
    except TpmError:
        return {}
