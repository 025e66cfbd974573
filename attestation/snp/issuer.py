# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""SNP evidence of the machine we run in: a report, and the certificates that vouch for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attestation.errors import DeviceError, EndorsementError
from attestation.evidence import SnpEvidence
from attestation.snp.certificate import split_pem
from attestation.snp.certificate_table import CertificateKind, parse_certificate_table
from attestation.snp.report import SigningKey, parse_report

if TYPE_CHECKING:
    from attestation.snp.device import ReportDevice
    from attestation.snp.kds import Kds
    from attestation.snp.report import Report

_LEAVES: Final = {SigningKey.VCEK: CertificateKind.VCEK, SigningKey.VLEK: CertificateKind.VLEK}
_PEM: Final = b"-----BEGIN"


class SnpIssuer:
    """Issues evidence.

    Args:
        device: what has the secure processor sign (`attestation.snp.device.find_device`).
        kds: where to fetch a VCEK that the host does not provide; None fetches nothing, and the evidence goes without.
        vmpl: privilege level to sign for; None for the driver's default.
    """

    def __init__(self, device: ReportDevice, kds: Kds | None = None, *, vmpl: int | None = None) -> None:
        self._device = device
        self._kds = kds
        self._vmpl = vmpl

    def issue(self, report_data: bytes) -> SnpEvidence:
        """Have a report signed and put the certificates beside it.

        Args:
            report_data: 64 bytes for the report to carry.

        Raises:
            DeviceError: no device, no permission, no answer, or a report that nobody signed or about something else.
            MalformedError: the device gives something that is not a report, or a broken table.
            EndorsementError: nobody provides the certificate.
        """
        answer = self._device.request_report(report_data, vmpl=self._vmpl)
        report = parse_report(answer.report)
        if report.report_data != report_data:
            raise DeviceError("the device gave a report about something else", hint="try again")
        if report.signing_key not in _LEAVES:
            raise DeviceError("the host has masked the key of its chip: its reports are not signed")
        table = {
            entry.kind: _der(entry.data) for entry in parse_certificate_table(answer.certificate_table) if entry.data
        }
        leaf = table.get(_LEAVES[report.signing_key])
        if leaf is None:
            return SnpEvidence(answer.report, self._fetched(report))
        signer, root = table.get(CertificateKind.ASK), table.get(CertificateKind.ARK)
        if signer is None or root is None:
            return SnpEvidence(answer.report, (leaf,))
        return SnpEvidence(answer.report, (leaf, signer, root))

    def _fetched(self, report: Report) -> tuple[bytes, ...]:
        if report.signing_key is SigningKey.VLEK:
            raise EndorsementError(
                "the host does not provide the VLEK certificate of its reports, and AMD gives it to nobody else",
                hint="ask the cloud why the certificate table of this machine has no VLEK",
            )
        if self._kds is None:
            return ()
        if report.product is None:
            raise EndorsementError(
                "the report does not name a product line that we know, so its VCEK cannot be asked for",
                hint="update the firmware of the host: reports of version 3 and later name the CPU",
            )
        return (self._kds.vcek(report.product, report.chip_id, report.product.tcb(report.reported_tcb)),)


def _der(certificate: bytes) -> bytes:
    # Hosts should provide DER; some provide what their administrator gave them.
    return split_pem(certificate)[0] if certificate.startswith(_PEM) else certificate
