# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Real reports of real machines get the right answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from attestation import Evidence, Policy, SnpEvidence, Variant, judge
from attestation.errors import MalformedError, NotGenuineError
from attestation.roots import VENDOR_ROOTS
from attestation.snp.certificate import parse_certificate, split_pem
from attestation.snp.chain import load_chain, shipped_chain
from attestation.snp.product import Product
from attestation.snp.report import Report, SigningKey, parse_report
from attestation.snp.verify import verify_endorsement, verify_report

if TYPE_CHECKING:
    from pathlib import Path

    from attestation.verdict import Verdict

AT = datetime(2025, 6, 1, tzinfo=UTC)
NAMES = [
    "gosevguest_milan_v2_debug",
    "oak_milan_oc_release",
    "trustee_azure_hcl_milan_v2",
    "trustee_azure_milan_v2",
    "virtee_milan_v2",
]
SHORT = {"bl": "bootloader", "tee": "tee", "snp": "snp", "ucode": "microcode"}


@dataclass(frozen=True)
class Recorded:
    report: bytes
    certificate: bytes
    facts: dict[str, Any]

    @property
    def parsed(self) -> Report:
        return parse_report(self.report)


@pytest.fixture(params=NAMES)
def recorded(request: pytest.FixtureRequest, vectors: Path) -> Recorded:
    return load(vectors, request.param)


def load(vectors: Path, name: str) -> Recorded:
    folder = vectors / "derived" / "snp" / name
    facts = json.loads((folder / "facts.json").read_text())
    return Recorded((folder / "report.bin").read_bytes(), (folder / "vek.der").read_bytes(), facts)


def test_fields_are_those_that_others_read(recorded: Recorded) -> None:
    report, facts = recorded.parsed, recorded.facts
    assert report.version == facts["version"]
    assert report.vmpl == facts["vmpl"]
    assert report.debug is facts["debug"]
    assert hex(report.policy) == facts["policy"]
    for name in ("measurement", "report_data", "host_data", "id_key_digest", "chip_id"):
        assert getattr(report, name).hex() == facts[name]
    for name in ("reported_tcb", "committed_tcb", "launch_tcb"):
        expected = {SHORT[component]: version for component, version in facts[name].items()}
        assert Product.MILAN.tcb(getattr(report, name)) == expected
    assert report.unknown == ()


def test_chain_holds_up_to_amd(recorded: Recorded) -> None:
    endorsement = verify_endorsement([recorded.certificate], kind=SigningKey.VCEK, at=AT, roots=VENDOR_ROOTS)
    verified = verify_report(recorded.parsed, endorsement, at=AT)
    assert verified.vouchers[0] == "AMD ARK-Milan"
    assert verified.product is Product.MILAN


def judged(recorded: Recorded, **changes: object) -> Verdict:
    facts = recorded.facts
    policy = {
        "variant": "qemu-snp",
        "launch_digests": [facts["measurement"]],
        "minimum_tcb": {SHORT[component]: version for component, version in facts["reported_tcb"].items()},
        "allow_report_v2": True,
        "allow_smt": True,
        "crl": "off",
        **changes,
    }
    evidence = Evidence(Variant.QEMU_SNP, snp=SnpEvidence(recorded.report, (recorded.certificate,)))
    return judge(evidence, Policy.from_mapping(policy), binding=None, at=AT)


def test_the_debug_guest_is_refused_for_being_one(vectors: Path) -> None:
    verdict = judged(load(vectors, "gosevguest_milan_v2_debug"))
    assert verdict.genuine
    assert [mismatch.name for mismatch in verdict.mismatches] == ["allow_debug"]


def test_the_others_are_accepted(recorded: Recorded) -> None:
    verdict = judged(recorded, allow_debug=True)
    assert verdict.mismatches == ()
    assert verdict.accepted


def test_version_2_needs_an_explicit_word(vectors: Path) -> None:
    verdict = judged(load(vectors, "virtee_milan_v2"), allow_report_v2=False)
    assert [mismatch.name for mismatch in verdict.mismatches] == ["allow_report_v2"]


def test_the_certificate_of_another_machine_is_refused(vectors: Path) -> None:
    report = load(vectors, "virtee_milan_v2").parsed
    other = load(vectors, "trustee_azure_milan_v2").certificate
    endorsement = verify_endorsement([other], kind=SigningKey.VCEK, at=AT, roots=VENDOR_ROOTS)
    with pytest.raises(NotGenuineError, match=r"snp\.signature"):
        verify_report(report, endorsement, at=AT)


def test_a_forged_certificate_is_refused(vectors: Path) -> None:
    forged = vectors / "confidential-containers__trustee/deps/verifier/test_data/snp/test-vcek-invalid-legacy.der"
    with pytest.raises(NotGenuineError, match=r"snp\.chain"):
        verify_endorsement([forged.read_bytes()], kind=SigningKey.VCEK, at=AT, roots=VENDOR_ROOTS)


def flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def test_every_flipped_byte_of_a_report_is_refused(vectors: Path) -> None:
    recorded = load(vectors, "oak_milan_oc_release")
    endorsement = verify_endorsement([recorded.certificate], kind=SigningKey.VCEK, at=AT, roots=VENDOR_ROOTS)
    for position in range(len(recorded.report)):
        with pytest.raises((NotGenuineError, MalformedError)):
            verify_report(parse_report(flipped(recorded.report, position)), endorsement, at=AT)


def test_every_flipped_byte_of_a_certificate_is_refused(vectors: Path) -> None:
    certificate = load(vectors, "oak_milan_oc_release").certificate
    for position in range(len(certificate)):
        with pytest.raises((NotGenuineError, MalformedError)):
            verify_endorsement([flipped(certificate, position)], kind=SigningKey.VCEK, at=AT, roots=VENDOR_ROOTS)


@pytest.mark.parametrize("product", Product)
@pytest.mark.parametrize("key", [SigningKey.VCEK, SigningKey.VLEK])
def test_every_shipped_chain_ends_in_a_pinned_root(product: Product, key: SigningKey) -> None:
    chain = load_chain(*shipped_chain(product, key), VENDOR_ROOTS.amd)
    chain.check_validity(AT)
    assert chain.root_name == f"ARK-{product}"


@pytest.mark.parametrize(
    "file, product, key",
    [
        ("ask_ark_milan.pem", Product.MILAN, SigningKey.VCEK),
        ("ask_ark_milan_vlek.pem", Product.MILAN, SigningKey.VLEK),
        ("ask_ark_genoa.pem", Product.GENOA, SigningKey.VCEK),
        ("ask_ark_genoa_vlek.pem", Product.GENOA, SigningKey.VLEK),
    ],
)
def test_shipped_chains_are_those_that_others_ship(vectors: Path, file: str, product: Product, key: SigningKey) -> None:
    theirs = split_pem((vectors / "google__go-sev-guest/verify/trust" / file).read_bytes())
    ours = shipped_chain(product, key)
    assert [parse_certificate(der).fingerprint for der in ours] == [
        parse_certificate(der).fingerprint for der in theirs
    ]


def test_a_name_in_which_the_kind_swallows_the_value_is_malformed(vectors: Path) -> None:
    recorded = load(vectors, "oak_milan_oc_release")
    certificate = parse_certificate(recorded.certificate)
    changed = bytearray(recorded.certificate)
    subject = changed.index(certificate.subject)
    changed[subject + 7] = changed[subject + 5] - 2
    issuer = changed.index(certificate.issuer) + len(certificate.issuer)
    changed[issuer - 1] ^= 1  # so that the refusal wants to name the certificate
    with pytest.raises(NotGenuineError, match=r"snp\.chain"):
        verify_endorsement([bytes(changed)], kind=SigningKey.VCEK, at=AT, roots=VENDOR_ROOTS)
