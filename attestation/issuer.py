# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence of the machine we run on: one interface for every variant.

    with open_issuer(Variant.AZURE_SEV_SNP) as issuer:
        evidence = issuer.issue(binding)

A binding is 32 bytes: a fresh nonce, or a hash that stands for the channel over which the evidence is asked for.
Platforms are imported when they are used, as by `attestation.judge`: a node never pays for those that it is not on.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from attestation.errors import DeviceError
from attestation.variant import Technology, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from attestation.aws.issuer import NitroDocuments
    from attestation.azure.metadata import Metadata
    from attestation.evidence import Evidence
    from attestation.snp.issuer import SnpIssuer
    from attestation.snp.kds import Kds
    from attestation.tpm.issuer import AttestationKeySource, TpmEvidenceSource
    from attestation.tsm import TsmReports

_Device = TypeVar("_Device")

DEFAULT_TIMEOUT: Final = 90.0  # seconds; a hardware TPM may search a minute for the primes of an RSA key
NO_BOOT_LOG: Final = Path("/dev/null")


class Issuer(Protocol):
    """Issues evidence of one variant."""

    @property
    def variant(self) -> Variant:
        """The platform."""

    def issue(self, binding: bytes) -> Evidence:
        """Have the devices sign.

        Args:
            binding: 32 bytes to be bound to.

        Raises:
            DeviceError: a device is missing, refused or failed.
            EndorsementError: a certificate that vouches for a device could not be had.
            MalformedError: a device gave something that is not what it should be.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """What a machine has. The variant decides what is used.

    Attributes:
        tpm: a TPM with the attestation key of the platform.
        snp: what has the AMD secure processor sign.
        tdx: the kernel's report interface; None for the real one.
        azure: Azure's host; None for the real one.
        nitro: AWS's Nitro system; None where keys are known by AWS's API.
    """

    tpm: TpmEvidenceSource | None = None
    snp: SnpIssuer | None = None
    tdx: TsmReports | None = None
    azure: Metadata | None = None
    nitro: NitroDocuments | None = None


def issuer_for(variant: Variant, devices: Devices) -> Issuer:
    """Make the issuer of a variant.

    Args:
        variant: the platform.
        devices: what it signs with.

    Raises:
        DeviceError: a device that the variant needs is not there.
    """
    return _MAKERS[variant](variant, devices)


@contextmanager
def open_issuer(
    variant: Variant,
    *,
    tpm: str = "",
    boot_log: Path | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    kds: Kds | None = None,
) -> Iterator[Issuer]:
    """Open the devices of this machine, and make the issuer of a variant.

    Args:
        variant: the platform that this machine is.
        tpm: address of the TPM, as `attestation.tpm.device.open_device` understands it; empty for the kernel's.
        boot_log: file with the boot log; None for the kernel's, if the TPM is the kernel's.
        timeout: seconds to wait for each answer of the TPM.
        kds: where to fetch an SNP certificate that the host does not provide; None fetches nothing.

    Raises:
        DeviceError: a device is missing, or may not be used.
    """
    with ExitStack() as opened:
        devices = Devices(
            tpm=_open_tpm(variant, opened, tpm, boot_log, timeout) if Technology.TPM in variant.technologies else None,
            snp=_find_snp(kds) if variant in _REPORTS_ITSELF else None,
            nitro=_find_nitro(variant),
        )
        yield issuer_for(variant, devices)


def _open_tpm(
    variant: Variant, opened: ExitStack, address: str, boot_log: Path | None, timeout: float
) -> TpmEvidenceSource:
    from attestation.tpm.client import Tpm
    from attestation.tpm.device import RESOURCE_MANAGER, open_device
    from attestation.tpm.issuer import BOOT_LOG, TpmIssuer

    address = address or RESOURCE_MANAGER
    # The kernel's log is about the TPM that the kernel found, and about no other.
    own_log = BOOT_LOG if address.startswith("/dev/") else NO_BOOT_LOG
    tpm = opened.enter_context(Tpm(open_device(address, timeout=timeout)))
    return TpmIssuer(tpm, _key_source(variant), boot_log=boot_log or own_log)


def _find_nitro(variant: Variant) -> NitroDocuments | None:
    if variant is not Variant.AWS_NITRO_TPM:
        return None
    from attestation.aws.issuer import TOOL, NitroTool

    return NitroTool() if Path(TOOL).exists() else None


def _find_snp(kds: Kds | None) -> SnpIssuer:
    from attestation.snp.device import find_device
    from attestation.snp.issuer import SnpIssuer

    return SnpIssuer(find_device(), kds)


def _key_source(variant: Variant) -> AttestationKeySource:
    from attestation.tpm.issuer import AttestationKeySource

    if variant.value.startswith("azure"):
        return AttestationKeySource.AZURE
    return AttestationKeySource.GCP_ECC if variant.value.startswith("gcp") else AttestationKeySource.ECC_PRIMARY


def _need(device: _Device | None, what: str, variant: Variant) -> _Device:
    if device is None:
        raise DeviceError(f"evidence of {variant} needs {what}", hint="is this machine of the variant that you named?")
    return device


def _tpm(variant: Variant, devices: Devices) -> TpmEvidenceSource:
    return _need(devices.tpm, "a TPM", variant)


def _snp(variant: Variant, devices: Devices) -> SnpIssuer:
    return _need(devices.snp, "an AMD secure processor", variant)


def _qemu(variant: Variant, devices: Devices) -> Issuer:
    from attestation.qemu.issuer import QemuSnpIssuer, VtpmIssuer

    if variant is Variant.QEMU_SNP:
        return QemuSnpIssuer(_snp(variant, devices))
    return VtpmIssuer(variant, _tpm(variant, devices))


def _tdx(variant: Variant, devices: Devices) -> Issuer:
    from attestation.tdx.issuer import TdxIssuer

    return TdxIssuer(variant, devices.tdx)


def _azure(variant: Variant, devices: Devices) -> Issuer:
    from attestation.azure.issuer import AzureSnpIssuer, AzureTdxIssuer, AzureTrustedLaunchIssuer

    tpm = _tpm(variant, devices)
    if variant is Variant.AZURE_TRUSTED_LAUNCH:
        return AzureTrustedLaunchIssuer(tpm)
    return (AzureSnpIssuer if variant is Variant.AZURE_SEV_SNP else AzureTdxIssuer)(tpm, devices.azure)


def _aws(variant: Variant, devices: Devices) -> Issuer:
    from attestation.aws.issuer import AwsSnpIssuer, NitroTpmIssuer

    if variant is Variant.AWS_SEV_SNP:
        return AwsSnpIssuer(_tpm(variant, devices), _snp(variant, devices))
    return NitroTpmIssuer(_tpm(variant, devices), devices.nitro)


def _gcp(variant: Variant, devices: Devices) -> Issuer:
    from attestation.gcp.issuer import GcpSevEsIssuer, GcpSnpIssuer

    if variant is Variant.GCP_SEV_SNP:
        return GcpSnpIssuer(_tpm(variant, devices), _snp(variant, devices))
    return GcpSevEsIssuer(_tpm(variant, devices))


def _insecure(_variant: Variant, _devices: Devices) -> Issuer:
    from attestation.insecure import InsecureIssuer

    return InsecureIssuer()


# Elsewhere the paravisor has the report signed.
_REPORTS_ITSELF: Final = frozenset({Variant.QEMU_SNP, Variant.AWS_SEV_SNP, Variant.GCP_SEV_SNP})

_MAKERS: Final[Mapping[Variant, Callable[[Variant, Devices], Issuer]]] = MappingProxyType(
    {
        Variant.QEMU_VTPM: _qemu,
        Variant.OPENSTACK_VTPM: _qemu,
        Variant.QEMU_SNP: _qemu,
        Variant.QEMU_TDX: _tdx,
        Variant.AZURE_SEV_SNP: _azure,
        Variant.AZURE_TDX: _azure,
        Variant.AZURE_TRUSTED_LAUNCH: _azure,
        Variant.AWS_SEV_SNP: _aws,
        Variant.AWS_NITRO_TPM: _aws,
        Variant.GCP_SEV_SNP: _gcp,
        Variant.GCP_SEV_ES: _gcp,
        Variant.GCP_TDX: _tdx,
        Variant.INSECURE: _insecure,
    },
)
