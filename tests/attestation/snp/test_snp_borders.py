# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Where the borders of each check of a report and its certificates are, and what a proof then says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attestation import Policy, Variant
from attestation.der import Tag
from attestation.errors import MalformedError, NotGenuineError
from attestation.policy_fields import Revocation
from attestation.roots import Roots
from attestation.snp.product import Product
from attestation.snp.report import COMPONENT_SIZE, SIGNED_SIZE, SigningKey, parse_report
from attestation.snp.validate import validate_report
from attestation.snp.verify import Endorsement, verify_endorsement, verify_report
from attestation.testing import der
from attestation.testing.amd_authority import AMD as AMD_ARC
from attestation.testing.amd_authority import extension
from attestation.testing.snp import FakeAmd
from attestation.verdict import Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attestation.testing.amd_authority import Authority
    from attestation.testing.snp_machine import FakeMachine
    from attestation.verdict import Mismatch

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
AMD = FakeAmd()


@pytest.fixture
def machine() -> FakeMachine:
    return AMD.machine(Product.MILAN)


def endorsement(machine: FakeMachine, *, at: datetime = AT, certificates: Sequence[bytes] = ()) -> Endorsement:
    chain = certificates or machine.certificates()
    return verify_endorsement(chain, kind=machine.signing_key, at=at, roots=roots_of(machine))


def roots_of(machine: FakeMachine) -> Roots:
    signer = machine.certified_by or machine.amd.signer(machine.product, machine.signing_key)
    return Roots(amd=frozenset({(signer.parent or signer).fingerprint}), intel=frozenset())


def refusal(machine: FakeMachine, *, at: datetime = AT, certificates: Sequence[bytes] = ()) -> str:
    with pytest.raises(NotGenuineError) as caught:
        endorsement(machine, at=at, certificates=certificates)
    return caught.value.check


def test_a_vcek_says_which_chip_it_is_of(machine: FakeMachine) -> None:
    chain = machine.certificates()
    proof = endorsement(machine, certificates=chain)
    assert proof.vouchers == ("AMD ARK-Milan", "SEV-Milan", f"VCEK of chip {machine.chip_id.hex()[:16]}…")
    assert (proof.chip_id, proof.csp) == (machine.chip_id, "")
    assert (proof.certificate.der, proof.chain.signer.der, proof.chain.root.der) == chain


def test_a_vlek_says_which_cloud_it_is_of() -> None:
    machine = AMD.machine(Product.GENOA, signing_key=SigningKey.VLEK)
    proof = endorsement(machine)
    assert proof.vouchers == ("AMD ARK-Genoa", "SEV-VLEK-Genoa", f"VLEK of {machine.csp_id}")
    assert (proof.chip_id, proof.csp) == (None, machine.csp_id)


def test_a_report_is_vouched_for_by_those_who_vouch_for_its_key(machine: FakeMachine) -> None:
    key = endorsement(machine)
    proof = verify_report(parse_report(machine.report()), key, at=AT)
    assert proof.vouchers == key.vouchers
    assert proof.endorsement is key


@pytest.mark.parametrize("moment", ["too early", "too late"])
def test_a_key_is_not_endorsed_outside_its_own_time(machine: FakeMachine, moment: str) -> None:
    at = machine.not_before - SECOND if moment == "too early" else machine.not_after + SECOND
    assert refusal(machine, at=at) == "snp.validity"


def future(authority: Authority) -> Authority:
    return replace(authority, not_before=AT + SECOND)


def past(authority: Authority) -> Authority:
    return replace(authority, not_after=AT - SECOND)


def until_now(authority: Authority) -> Authority:
    return replace(authority, not_after=AT)


def with_root(machine: FakeMachine, change: Callable[[Authority], Authority]) -> FakeMachine:
    """Put another root above the signer; the key stays that which is pinned."""
    signer = machine.amd.signer(machine.product)
    assert signer.parent is not None
    machine.certified_by = replace(signer, parent=change(signer.parent))
    return machine


@pytest.mark.parametrize("change", [future, past])
def test_a_root_outside_its_time_endorses_nothing(
    machine: FakeMachine, change: Callable[[Authority], Authority]
) -> None:
    assert refusal(with_root(machine, change)) == "snp.validity"


@pytest.mark.parametrize("change", [future, past])
def test_a_signer_outside_its_time_endorses_nothing(
    machine: FakeMachine, change: Callable[[Authority], Authority]
) -> None:
    machine.certified_by = change(machine.amd.signer(machine.product))
    assert refusal(machine) == "snp.validity"


def test_a_kept_key_ends_with_its_root(machine: FakeMachine) -> None:
    key = endorsement(with_root(machine, until_now))
    report = parse_report(machine.report())
    verify_report(report, key, at=AT)
    with pytest.raises(NotGenuineError, match=r"snp\.validity"):
        verify_report(report, key, at=AT + SECOND)


def test_without_certificates_the_check_has_a_name(machine: FakeMachine) -> None:
    with pytest.raises(NotGenuineError) as caught:
        verify_endorsement([], kind=SigningKey.VCEK, at=AT, roots=roots_of(machine))
    assert caught.value.check == "snp.certificates"


def test_certificates_behind_the_root_are_left_aside(machine: FakeMachine) -> None:
    proof = endorsement(machine, certificates=(*machine.certificates(), b"anything"))
    assert proof.chain.root_name == "ARK-Milan"


def test_half_a_chain_is_completed_by_the_shipped_one(machine: FakeMachine) -> None:
    assert refusal(machine, certificates=machine.certificates()[:2]) == "snp.root"


@pytest.mark.parametrize("kind", [SigningKey.VCEK, SigningKey.VLEK])
def test_the_shipped_chain_is_that_of_the_kind(kind: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = AMD.machine(Product.MILAN, signing_key=kind)
    asked: list[object] = []

    def shipped(*question: object) -> tuple[bytes, ...]:
        asked.append(question)
        return machine.certificates()[1:]

    monkeypatch.setattr("attestation.snp.verify.shipped_chain", shipped)
    endorsement(machine, certificates=[machine.certificate()])
    assert asked == [(Product.MILAN, kind)]


@pytest.mark.parametrize("kind", [SigningKey.VCEK, SigningKey.VLEK])
def test_each_kind_has_an_authority_of_its_own(kind: SigningKey) -> None:
    machine = AMD.machine(Product.MILAN, signing_key=kind)
    other = SigningKey.VLEK if kind is SigningKey.VCEK else SigningKey.VCEK
    with pytest.raises(NotGenuineError) as caught:
        verify_endorsement(machine.certificates(), kind=other, at=AT, roots=roots_of(machine))
    assert caught.value.check == "snp.chain"


def test_a_root_of_the_line_above_a_signer_of_another(machine: FakeMachine) -> None:
    machine.certified_by = replace(machine.amd.signer(machine.product), common_name="SEV-Genoa")
    assert refusal(machine) == "snp.chain"


def test_a_signer_of_the_line_under_a_root_of_another(machine: FakeMachine) -> None:
    assert refusal(with_root(machine, lambda root: replace(root, common_name="ARK-Genoa"))) == "snp.chain"


def replaced(machine: FakeMachine, arc: str, value: bytes) -> FakeMachine:
    """Let the certificate say something else in one of AMD's extensions."""
    oid = f"{AMD_ARC}.{arc}"
    machine.omitted_extensions.add(oid)
    machine.extra_extensions.append(extension(oid, value))
    return machine


@pytest.mark.parametrize("product", Product)
def test_a_hardware_id_may_be_wrapped(product: Product) -> None:
    machine = AMD.machine(product)
    assert endorsement(replaced(machine, "4", der.octets(machine.chip_id))).chip_id == machine.chip_id


@pytest.mark.parametrize("product", Product)
@pytest.mark.parametrize("surplus", [-1, 1])
def test_a_hardware_id_of_another_length_is_malformed(product: Product, surplus: int) -> None:
    machine = AMD.machine(product)
    value = der.octets(bytes(product.chip_id_size + surplus))
    with pytest.raises(MalformedError, match="hardware id has"):
        endorsement(replaced(machine, "4", value))


@pytest.mark.parametrize("version", [0, 255])
def test_the_borders_of_a_security_version(machine: FakeMachine, version: int) -> None:
    assert endorsement(replaced(machine, "3.3", der.integer(version))).tcb["snp"] == version


@pytest.mark.parametrize("encoded, version", [(b"\xff", -1), (b"\x01\x00", 256)])
def test_a_security_version_that_is_no_byte_is_malformed(machine: FakeMachine, encoded: bytes, version: int) -> None:
    with pytest.raises(MalformedError, match=f"security version of snp is {version}"):
        endorsement(replaced(machine, "3.3", der.tlv(Tag.INTEGER, encoded)))


@pytest.mark.parametrize("tag", [Tag.IA5_STRING, Tag.UTF8_STRING, Tag.PRINTABLE_STRING])
def test_a_product_may_be_any_kind_of_text(machine: FakeMachine, tag: int) -> None:
    assert endorsement(replaced(machine, "2", der.text(tag, "Milan"))).product is Product.MILAN


@pytest.mark.parametrize("value", [der.octets(b"Milan"), der.tlv(Tag.UTF8_STRING, "Milän".encode())])
def test_a_product_that_is_no_ascii_text_is_malformed(machine: FakeMachine, value: bytes) -> None:
    with pytest.raises(MalformedError, match="product name is not text"):
        endorsement(replaced(machine, "2", value))


@pytest.mark.parametrize("product", Product)
def test_every_security_version_must_be_certified(product: Product) -> None:
    machine = AMD.machine(product)
    for component in machine.tcb:
        machine.certificate_tcb = machine.tcb | {component: machine.tcb[component] + 1}
        with pytest.raises(NotGenuineError, match=r"snp\.tcb"):
            verify_report(parse_report(machine.report()), endorsement(machine), at=AT)


def test_a_cloud_must_have_a_name() -> None:
    machine = AMD.machine(Product.MILAN, signing_key=SigningKey.VLEK)
    machine.omitted_extensions.add(f"{AMD_ARC}.5")
    assert refusal(machine) == "snp.certificate"


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("value", [0, 1 << 384, (1 << 576) - 1])
def test_a_half_of_a_signature_that_is_out_of_range(machine: FakeMachine, half: int, value: int) -> None:
    report, key, begin = machine.report(), endorsement(machine), SIGNED_SIZE + half * COMPONENT_SIZE
    changed = report[:begin] + value.to_bytes(COMPONENT_SIZE, "little") + report[begin + COMPONENT_SIZE :]
    with pytest.raises(NotGenuineError, match=r"snp\.signature"):
        verify_report(parse_report(changed), key, at=AT)


def test_the_key_of_another_chip_of_the_same_line(machine: FakeMachine) -> None:
    machine.hwid = machine.chip_id[:-1] + bytes([machine.chip_id[-1] ^ 1])
    with pytest.raises(NotGenuineError, match=r"snp\.chip_id"):
        verify_report(parse_report(machine.report()), endorsement(machine), at=AT)


def test_a_report_of_a_cloud_is_of_any_chip() -> None:
    machine = AMD.machine(Product.GENOA, signing_key=SigningKey.VLEK)
    for chip_id in (machine.chip_id, bytes(63) + b"\x01"):
        machine.chip_id = chip_id
        proof = verify_report(parse_report(machine.report()), endorsement(machine), at=AT)
        assert proof.report.chip_id == chip_id


def test_a_key_of_another_curve_of_the_same_length(machine: FakeMachine) -> None:
    machine.certified_key = ec.generate_private_key(ec.BrainpoolP384R1()).public_key()
    assert refusal(machine) == "snp.key"


def judged(machine: FakeMachine, **fields: object) -> list[Mismatch]:
    accepted: dict[str, Any] = {"launch_digests": (machine.measurement,), "minimum_tcb": {"snp": 0}, **fields}
    policy = Policy(variant=Variant.QEMU_SNP, crl=Revocation.OFF, **accepted)
    findings = Findings()
    report = verify_report(parse_report(machine.report()), endorsement(machine), at=AT)
    validate_report(report, policy, findings, report_data=None)
    return findings.mismatches


def test_a_masked_chip_is_found_by_its_certificate(machine: FakeMachine) -> None:
    machine.chip_id_masked = True
    assert judged(machine, chip_ids=(machine.chip_id,)) == []
    assert [mismatch.name for mismatch in judged(machine, chip_ids=(bytes(64),))] == ["chip_ids"]


def test_an_author_key_that_is_absent_is_no_digest_at_all(machine: FakeMachine) -> None:
    machine.author_key_digest = bytes(48)
    for digest in (b"", bytes(48)):
        assert [mismatch.got for mismatch in judged(machine, author_key_digests=(digest,))] == ["none"]


@pytest.mark.parametrize("which", ["reported", "current", "committed"])
def test_a_refusal_says_which_tcb_is_too_low(machine: FakeMachine, which: str) -> None:
    machine.current_tcb = machine.committed_tcb = machine.tcb | {"snp": 255}
    if which == "reported":
        machine.tcb["snp"] = 1
    else:
        setattr(machine, f"{which}_tcb", {"snp": 1})
    (mismatch,) = judged(machine, minimum_tcb={"snp": 2})
    assert (mismatch.expected, mismatch.got) == (f"at least 2 in the {which} TCB", "1")


def test_a_refusal_says_that_the_launch_tcb_is_too_low(machine: FakeMachine) -> None:
    machine.launch_tcb = {"snp": 1}
    (mismatch,) = judged(machine, minimum_launch_tcb={"snp": 2})
    assert mismatch.expected == "at least 2 in the launch TCB"
