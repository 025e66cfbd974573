# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The issuer of each variant, with the devices that it needs."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from attestation.aws.issuer import TOOL, AwsSnpIssuer, NitroTool, NitroTpmIssuer
from attestation.azure.issuer import AzureSnpIssuer, AzureTdxIssuer, AzureTrustedLaunchIssuer
from attestation.gcp.issuer import GcpSevEsIssuer, GcpSnpIssuer
from attestation.insecure import InsecureIssuer
from attestation.qemu.issuer import QemuSnpIssuer, VtpmIssuer
from attestation.snp.device import find_device
from attestation.snp.issuer import SnpIssuer
from attestation.snp.kds import Kds
from attestation.snp.kds_transport import HttpsTransport
from attestation.tdx.issuer import TdxIssuer
from attestation.tpm.client import Tpm
from attestation.tpm.device import RESOURCE_MANAGER, open_device
from attestation.tpm.issuer import BOOT_LOG, AttestationKeySource, TpmIssuer
from attestation.variant import Technology, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from attestation.evidence import Evidence

NO_BOOT_LOG: Final = Path("/dev/null")
_KEYS: Final = {
    Variant.AZURE_SEV_SNP: AttestationKeySource.AZURE,
    Variant.AZURE_TDX: AttestationKeySource.AZURE,
    Variant.AZURE_TRUSTED_LAUNCH: AttestationKeySource.AZURE,
    Variant.GCP_SEV_SNP: AttestationKeySource.GCP_ECC,
    Variant.GCP_SEV_ES: AttestationKeySource.GCP_ECC,
}


class Issuer(Protocol):
    """What collects evidence."""

    def issue(self, binding: bytes) -> Evidence:
        """Collect evidence that signs 32 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """Where the devices of this machine are, and who may be asked about them.

    Attributes:
        tpm: address of the TPM, as `open_device` takes it.
        boot_log: file with the boot log; None for that of this machine, if the TPM is this machine's.
        timeout: seconds to wait for each answer of the TPM.
        fetch: whether AMD's service is asked for a VCEK that the host does not provide.
    """

    tpm: str = RESOURCE_MANAGER
    boot_log: Path | None = None
    timeout: float
    fetch: bool = False

    @contextmanager
    def issuer(self, variant: Variant) -> Iterator[Issuer]:
        """Open what a variant needs.

        Raises:
            DeviceError: a device is missing or cannot be used.
        """
        if Technology.TPM not in variant.technologies:
            yield self._without_tpm(variant)
            return
        with Tpm(open_device(self.tpm, timeout=self.timeout)) as tpm:
            source = _KEYS.get(variant, AttestationKeySource.ECC_PRIMARY)
            yield self._with_tpm(variant, TpmIssuer(tpm, source, boot_log=self._boot_log))

    @property
    def _boot_log(self) -> Path:
        if self.boot_log is not None:
            return self.boot_log
        return BOOT_LOG if self.tpm.startswith("/dev/") else NO_BOOT_LOG

    def _without_tpm(self, variant: Variant) -> Issuer:
        if variant is Variant.INSECURE:
            return InsecureIssuer()
        return QemuSnpIssuer(self._snp()) if variant is Variant.QEMU_SNP else TdxIssuer(variant)

    def _with_tpm(self, variant: Variant, tpm: TpmIssuer) -> Issuer:
        if variant in _TPM_AND_SNP:
            return _TPM_AND_SNP[variant](tpm, self._snp())
        if variant is Variant.AWS_NITRO_TPM:
            return NitroTpmIssuer(tpm, NitroTool() if Path(TOOL).exists() else None)
        return _TPM_ONLY[variant](tpm) if variant in _TPM_ONLY else VtpmIssuer(variant, tpm)

    def _snp(self) -> SnpIssuer:
        return SnpIssuer(find_device(), Kds(HttpsTransport()) if self.fetch else None)


_TPM_AND_SNP: Final[Mapping[Variant, Callable[[TpmIssuer, SnpIssuer], Issuer]]] = MappingProxyType(
    {Variant.AWS_SEV_SNP: AwsSnpIssuer, Variant.GCP_SEV_SNP: GcpSnpIssuer},
)
_TPM_ONLY: Final[Mapping[Variant, Callable[[TpmIssuer], Issuer]]] = MappingProxyType(
    {
        Variant.AZURE_SEV_SNP: AzureSnpIssuer,
        Variant.AZURE_TDX: AzureTdxIssuer,
        Variant.AZURE_TRUSTED_LAUNCH: AzureTrustedLaunchIssuer,
        Variant.GCP_SEV_ES: GcpSevEsIssuer,
    },
)
