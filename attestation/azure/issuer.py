# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Collects evidence of Azure: the paravisor's report from the vTPM, certificates and TD quotes from the host."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from attestation.azure.hcl import HashType, HclReport, parse_hcl
from attestation.azure.metadata import HostMetadata, Metadata, amd_certificates, td_quote
from attestation.binding import report_data
from attestation.der import read_tlv
from attestation.errors import DeviceError, TpmError
from attestation.evidence import Evidence, SnpEvidence, TdxEvidence
from attestation.variant import Variant

if TYPE_CHECKING:
    from attestation.tpm.issuer import TpmEvidenceSource

HCL_REPORT: Final = 0x01400001  # NV indexes
USER_DATA: Final = 0x01400002
AK_CERTIFICATE: Final = 0x01C101D0


class AzureSnpIssuer:
    """Issues evidence of a confidential VM with SEV-SNP.

    Args:
        tpm: vTPM, with the key that the paravisor stored.
        metadata: the host; None for the one that we run on.
    """

    variant: Final = Variant.AZURE_SEV_SNP

    def __init__(self, tpm: TpmEvidenceSource, metadata: Metadata | None = None) -> None:
        self._tpm = tpm
        self._metadata: Metadata = metadata if metadata is not None else HostMetadata()

    def issue(self, binding: bytes) -> Evidence:
        """Quote the registers, and add the report that vouches for the key.

        Args:
            binding: 32 bytes to be bound to.

        Raises:
            DeviceError: the TPM refused or failed, or its paravisor is not Azure's.
            EndorsementError: the host does not provide the certificates.
        """
        hcl = _read_hcl(self._tpm, binding)
        return Evidence(
            self.variant,
            tpm=self._tpm.evidence(binding),
            snp=SnpEvidence(hcl.snp_report, amd_certificates(self._metadata)),
            platform={"runtime_data": hcl.runtime_data},
        )


class AzureTdxIssuer:
    """Issues evidence of a confidential VM with TDX.

    Args:
        tpm: vTPM, with the key that the paravisor stored.
        metadata: the host; None for the one that we run on.
    """

    variant: Final = Variant.AZURE_TDX

    def __init__(self, tpm: TpmEvidenceSource, metadata: Metadata | None = None) -> None:
        self._tpm = tpm
        self._metadata: Metadata = metadata if metadata is not None else HostMetadata()

    def issue(self, binding: bytes) -> Evidence:
        """Quote the registers, and add the TD quote that vouches for the key.

        Args:
            binding: 32 bytes to be bound to.

        Raises:
            DeviceError: the TPM refused or failed, or its paravisor is not Azure's.
            EndorsementError: the host does not make a quote of the report.
        """
        hcl = _read_hcl(self._tpm, binding)
        return Evidence(
            self.variant,
            tpm=self._tpm.evidence(binding),
            tdx=TdxEvidence(td_quote(self._metadata, hcl.td_report)),
            platform={"runtime_data": hcl.runtime_data},
        )


class AzureTrustedLaunchIssuer:
    """Issues evidence of a VM without confidential computing.

    Args:
        tpm: vTPM, with the key that Azure stored.
    """

    variant: Final = Variant.AZURE_TRUSTED_LAUNCH

    def __init__(self, tpm: TpmEvidenceSource) -> None:
        self._tpm = tpm

    def issue(self, binding: bytes) -> Evidence:
        """Quote the registers, and add the certificate of the key where there is one.

        Args:
            binding: 32 bytes to be bound to.

        Raises:
            DeviceError: the TPM refused or failed.
        """
        platform = {}
        with suppress(TpmError):  # without a certificate it can still be judged by the Name of its key
            platform["ak_certificate"] = read_tlv(self._tpm.nv_read(AK_CERTIFICATE)).raw
        return Evidence(self.variant, tpm=self._tpm.evidence(binding), platform=platform)


def _read_hcl(tpm: TpmEvidenceSource, binding: bytes) -> HclReport:
    # A write makes the paravisor ask the hardware again. Without the index there is the report of the boot, which
    # vouches for the key just as well.
    with suppress(TpmError):
        tpm.nv_write(USER_DATA, report_data(binding))
    hcl = parse_hcl(tpm.nv_read(HCL_REPORT))
    if hcl.hash_type != HashType.SHA256:
        raise DeviceError(f"the paravisor hashes its runtime data with algorithm {hcl.hash_type}, expected SHA-256 (1)")
    return hcl
