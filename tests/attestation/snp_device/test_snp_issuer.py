# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence of the machine we run in verifies elsewhere, wherever its certificates come from."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from attestation.errors import DeviceError, EndorsementError, MalformedError
from attestation.snp.device import ConfigfsDevice, DeviceReport
from attestation.snp.issuer import SnpIssuer
from attestation.snp.kds import Kds
from attestation.snp.product import Product
from attestation.snp.report import SigningKey, parse_report
from attestation.snp.verify import VerifiedReport, verify_endorsement, verify_report
from attestation.testing.kds import FakeKds
from attestation.testing.sev_guest import GUIDS, certificate_table, encode_table
from attestation.testing.snp import FakeAmd
from attestation.testing.tsm import FakeTsmFiles
from attestation.tsm import TsmReports

if TYPE_CHECKING:
    from attestation.evidence import SnpEvidence
    from attestation.testing.snp_machine import FakeMachine

AT = datetime(2026, 1, 1, tzinfo=UTC)
DATA = bytes(range(64))
AMD = FakeAmd()


@dataclass
class Device:
    machine: FakeMachine
    table: bytes = b""
    vmpl: int | None = None

    def request_report(self, report_data: bytes, *, vmpl: int | None = None) -> DeviceReport:
        self.vmpl = vmpl
        return DeviceReport(self.machine.report(report_data), self.table)


def verify(evidence: SnpEvidence) -> VerifiedReport:
    report = parse_report(evidence.report)
    assert report.signing_key is not None
    certificates = evidence.certificates
    if len(certificates) == 1:  # a verifier has the chain of the real AMD, but not that of a fake one
        signer = AMD.signer(Product.MILAN, report.signing_key)
        certificates = (*certificates, signer.certificate, AMD.root(Product.MILAN).certificate)
    endorsement = verify_endorsement(certificates, kind=report.signing_key, at=AT, roots=AMD.roots)
    return verify_report(report, endorsement, at=AT)


@pytest.mark.parametrize("kind", [SigningKey.VCEK, SigningKey.VLEK])
@pytest.mark.parametrize("product", Product)
def test_the_host_provides_the_whole_chain(product: Product, kind: SigningKey) -> None:
    machine = AMD.machine(product, signing_key=kind)
    evidence = SnpIssuer(Device(machine, certificate_table(machine))).issue(DATA)
    assert len(evidence.certificates) == 3
    assert verify(evidence).report.report_data == DATA


def test_by_configfs() -> None:
    machine = AMD.machine()
    files = FakeTsmFiles("sev_guest", machine.report, auxblob=certificate_table(machine))
    evidence = SnpIssuer(ConfigfsDevice(TsmReports(files))).issue(DATA)
    assert verify(evidence).report.report_data == DATA
    assert files.entries == {}


def test_by_configfs_with_something_that_is_no_report() -> None:
    files = FakeTsmFiles("sev_guest", lambda _data: bytes(1183))
    with pytest.raises(DeviceError, match="1183 bytes"):
        SnpIssuer(ConfigfsDevice(TsmReports(files))).issue(DATA)


def test_the_host_provides_only_the_certificate_of_the_key() -> None:
    machine = AMD.machine(signing_key=SigningKey.VLEK)
    table = encode_table({GUIDS["vlek"].bytes: machine.certificate()})
    evidence = SnpIssuer(Device(machine, table)).issue(DATA)
    assert len(evidence.certificates) == 1
    verify(evidence)


def test_of_two_certificates_the_one_that_signs_is_taken() -> None:
    machine = AMD.machine(signing_key=SigningKey.VLEK)
    table = encode_table({GUIDS["vcek"].bytes: b"not this one", GUIDS["vlek"].bytes: machine.certificate()})
    verify(SnpIssuer(Device(machine, table)).issue(DATA))


def test_a_certificate_in_pem_becomes_der() -> None:
    machine = AMD.machine()
    pem = ssl.DER_cert_to_PEM_cert(machine.certificate()).encode("ascii")
    verify(SnpIssuer(Device(machine, encode_table({GUIDS["vcek"].bytes: pem}))).issue(DATA))


def test_what_the_host_lacks_amd_has() -> None:
    machine = AMD.machine()
    service = FakeKds(AMD, [machine])
    evidence = SnpIssuer(Device(machine), Kds(service)).issue(DATA)
    verify(evidence)
    assert len(service.requests) == 1


def test_what_the_host_has_is_not_asked_for() -> None:
    machine, service = AMD.machine(), FakeKds(AMD)
    SnpIssuer(Device(machine, certificate_table(machine)), Kds(service)).issue(DATA)
    assert service.requests == []


def test_without_a_service_evidence_goes_without_certificates() -> None:
    assert SnpIssuer(Device(AMD.machine())).issue(DATA).certificates == ()


def test_an_entry_without_data_is_none() -> None:
    table = encode_table({GUIDS["vcek"].bytes: b""})
    assert SnpIssuer(Device(AMD.machine(), table)).issue(DATA).certificates == ()


def test_a_missing_vlek_is_refused() -> None:
    machine = AMD.machine(signing_key=SigningKey.VLEK)
    with pytest.raises(EndorsementError, match="VLEK"):
        SnpIssuer(Device(machine), Kds(FakeKds(AMD))).issue(DATA)


def test_a_chip_that_hides_is_refused() -> None:
    machine = AMD.machine()
    machine.chip_id_masked = True
    with pytest.raises(EndorsementError, match="hides its chip"):
        SnpIssuer(Device(machine), Kds(FakeKds(AMD, [machine]))).issue(DATA)


def test_a_report_that_names_no_product_is_refused() -> None:
    machine = AMD.machine()
    machine.version = 2
    with pytest.raises(EndorsementError, match="product line"):
        SnpIssuer(Device(machine), Kds(FakeKds(AMD, [machine]))).issue(DATA)


def test_an_unsigned_report_is_refused() -> None:
    machine = AMD.machine(signing_key=SigningKey.NONE)
    with pytest.raises(DeviceError, match="not signed"):
        SnpIssuer(Device(machine)).issue(DATA)


def test_a_report_about_something_else_is_refused() -> None:
    machine = AMD.machine()
    machine.reserved[0x50] = b"\xff"
    with pytest.raises(DeviceError, match="something else"):
        SnpIssuer(Device(machine)).issue(DATA)


def test_a_broken_table_is_refused() -> None:
    machine = AMD.machine()
    with pytest.raises(MalformedError, match="certificate table"):
        SnpIssuer(Device(machine, certificate_table(machine)[:-1])).issue(DATA)


@pytest.mark.parametrize("vmpl", [None, 1])
def test_the_privilege_level_is_handed_on(vmpl: int | None) -> None:
    device = Device(AMD.machine())
    SnpIssuer(device, vmpl=vmpl).issue(DATA)
    assert device.vmpl == vmpl
