# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The devices that the user named, opened for the issuer of a variant."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attestation.aws.issuer import TOOL, NitroTool
from attestation.issuer import Devices, Issuer, issuer_for
from attestation.snp.device import find_device
from attestation.snp.issuer import SnpIssuer
from attestation.snp.kds import Kds
from attestation.snp.kds_transport import HttpsTransport
from attestation.tpm.client import Tpm
from attestation.tpm.device import RESOURCE_MANAGER, open_device
from attestation.tpm.issuer import BOOT_LOG, AttestationKeySource, TpmIssuer
from attestation.variant import Technology, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_BOOT_LOG: Final = Path("/dev/null")
_REPORTS_ITSELF: Final = frozenset({Variant.QEMU_SNP, Variant.AWS_SEV_SNP, Variant.GCP_SEV_SNP})
_PROVIDED_KEYS: Final = {"azure": AttestationKeySource.AZURE, "gcp": AttestationKeySource.GCP_ECC}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedDevices:
    """Where the devices are, and who may be asked about them.

    Attributes:
        tpm: address of the TPM, as `open_device` takes it; empty for the kernel's.
        boot_log: file with the boot log; None for the kernel's, if the TPM is this machine's.
        timeout: seconds to wait for each answer of the TPM.
        fetch: whether AMD's service is asked for a VCEK that the host does not provide.
    """

    tpm: str = ""
    boot_log: Path | None = None
    timeout: float
    fetch: bool = False

    @contextmanager
    def issuer(self, variant: Variant) -> Iterator[Issuer]:
        """Open what a variant needs, and nothing else.

        Raises:
            DeviceError: a device is missing or cannot be used.
        """
        with ExitStack() as opened:
            devices = Devices(
                tpm=self._open_tpm(variant, opened) if Technology.TPM in variant.technologies else None,
                snp=self._find_snp() if variant in _REPORTS_ITSELF else None,
                nitro=NitroTool() if Path(TOOL).exists() else None,
            )
            yield issuer_for(variant, devices)

    def _open_tpm(self, variant: Variant, opened: ExitStack) -> TpmIssuer:
        address = self.tpm or RESOURCE_MANAGER
        tpm = opened.enter_context(Tpm(open_device(address, timeout=self.timeout)))
        cloud = variant.value.partition("-")[0]
        source = _PROVIDED_KEYS.get(cloud, AttestationKeySource.ECC_PRIMARY)
        # The kernel's log is about the TPM that the kernel found, and about no other.
        own_log = BOOT_LOG if address.startswith("/dev/") else NO_BOOT_LOG
        return TpmIssuer(tpm, source, boot_log=self.boot_log or own_log)

    def _find_snp(self) -> SnpIssuer:
        return SnpIssuer(find_device(), Kds(HttpsTransport()) if self.fetch else None)
