# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Each attack on the genuineness of a report is tried, and refused for its own reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import AttestationError, MalformedError, NotGenuineError
from attestation.roots import VENDOR_ROOTS, Roots
from attestation.snp.certificate import parse_certificate
from attestation.snp.product import Product
from attestation.snp.report import PlatformInfo, SigningKey, parse_report
from attestation.snp.verify import Endorsement, VerifiedReport, verify_endorsement, verify_report
from attestation.testing.snp import FakeAmd

if TYPE_CHECKING:
    from collections.abc import Callable

    from attestation.testing.snp_machine import FakeMachine

AT = datetime(2026, 1, 1, tzinfo=UTC)
AMD = FakeAmd()
KINDS = [SigningKey.VCEK, SigningKey.VLEK]


def verified(machine: FakeMachine, *, at: datetime = AT, roots: Roots | None = None) -> VerifiedReport:
    report = parse_report(machine.report())
    assert report.signing_key is not None
    endorsement = verify_endorsement(
        machine.certificates(), kind=report.signing_key, at=at, roots=roots or machine.amd.roots
    )
    return verify_report(report, endorsement, at=at)


@pytest.mark.parametrize("product", Product)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", range(2, 6))
def test_a_good_report_is_genuine(product: Product, kind: SigningKey, version: int) -> None:
    machine = AMD.machine(product, signing_key=kind)
    machine.version = version
    result = verified(machine)
    assert result.product is product
    assert result.endorsement.kind is kind
    assert result.endorsement.tcb == machine.tcb
    assert result.vouchers[0] == f"AMD ARK-{product}"


def set_tcb(machine: FakeMachine) -> None:
    machine.certificate_tcb = machine.tcb | {"snp": machine.tcb["snp"] - 1}


def swap_chip(machine: FakeMachine) -> None:
    machine.hwid = bytes(reversed(machine.chip_id))


def own_authority(machine: FakeMachine) -> None:
    machine.certified_by = FakeAmd("mallory").signer(machine.product)


def vlek_authority(machine: FakeMachine) -> None:
    machine.certified_by = machine.amd.signer(machine.product, SigningKey.VLEK)


def other_line(machine: FakeMachine) -> None:
    machine.certified_by = machine.amd.signer(Product.GENOA)


def other_product(machine: FakeMachine) -> None:
    machine.certificate_product = "Genoa-B1"


def unknown_product(machine: FakeMachine) -> None:
    machine.certificate_product = "Rome-B0"


def lying_cpu(machine: FakeMachine) -> None:
    machine.cpuid = (0x19, 0x11, 1)


def unknown_cpu(machine: FakeMachine) -> None:
    machine.cpuid = (0x1C, 0x00, 0)


def other_key(machine: FakeMachine) -> None:
    machine.certified_key = ec.generate_private_key(ec.SECP384R1()).public_key()


def smaller_curve(machine: FakeMachine) -> None:
    machine.certified_key = ec.generate_private_key(ec.SECP256R1()).public_key()


def rsa_key(machine: FakeMachine) -> None:
    machine.certified_key = rsa.generate_private_key(65537, 2048).public_key()


def broken_r(machine: FakeMachine) -> None:
    machine.signature_r ^= 1


def broken_s(machine: FakeMachine) -> None:
    machine.signature_s ^= 1


def wide_r(machine: FakeMachine) -> None:
    machine.signature_r ^= 1 << 400


def wide_s(machine: FakeMachine) -> None:
    machine.signature_s ^= 1 << 384


def algorithm(machine: FakeMachine) -> None:
    machine.signature_algorithm = 2


def no_product(machine: FakeMachine) -> None:
    machine.omitted_extensions.add("1.3.6.1.4.1.3704.1.2")


def no_hardware_id(machine: FakeMachine) -> None:
    machine.omitted_extensions.add("1.3.6.1.4.1.3704.1.4")


def no_microcode(machine: FakeMachine) -> None:
    machine.omitted_extensions.add("1.3.6.1.4.1.3704.1.3.8")


def expired(machine: FakeMachine) -> None:
    machine.not_after = AT - timedelta(seconds=1)


def not_yet(machine: FakeMachine) -> None:
    machine.not_before = AT + timedelta(seconds=1)


@pytest.mark.parametrize(
    "attack, check",
    [
        (set_tcb, "snp.tcb"),
        (swap_chip, "snp.chip_id"),
        (own_authority, "snp.root"),
        (vlek_authority, "snp.chain"),
        (other_line, "snp.chain"),
        (other_product, "snp.chain"),
        (unknown_product, "snp.product"),
        (lying_cpu, "snp.product"),
        (unknown_cpu, "snp.product"),
        (other_key, "snp.signature"),
        (smaller_curve, "snp.key"),
        (rsa_key, "snp.key"),
        (broken_r, "snp.signature"),
        (broken_s, "snp.signature"),
        (wide_r, "snp.signature"),
        (wide_s, "snp.signature"),
        (algorithm, "snp.algorithm"),
        (no_product, "snp.certificate"),
        (no_hardware_id, "snp.certificate"),
        (no_microcode, "snp.certificate"),
        (expired, "snp.validity"),
        (not_yet, "snp.validity"),
    ],
)
def test_attack_is_refused_for_its_own_reason(attack: Callable[[FakeMachine], None], check: str) -> None:
    machine = AMD.machine(Product.MILAN)
    attack(machine)
    with pytest.raises(NotGenuineError) as refusal:
        verified(machine)
    assert refusal.value.check == check


def test_a_vendor_root_does_not_vouch_for_a_fake() -> None:
    with pytest.raises(NotGenuineError) as refusal:
        verified(AMD.machine(), roots=VENDOR_ROOTS)
    assert refusal.value.check == "snp.root"


def test_a_fake_leaf_under_the_shipped_chain_is_refused() -> None:
    leaf = AMD.machine().certificate()
    with pytest.raises(NotGenuineError) as refusal:
        verify_endorsement([leaf], kind=SigningKey.VCEK, at=AT, roots=VENDOR_ROOTS)
    assert refusal.value.check == "snp.chain"


def test_no_certificate_is_refused_with_a_hint() -> None:
    with pytest.raises(NotGenuineError, match="VCEK certificate beside the report") as refusal:
        verify_endorsement([], kind=SigningKey.VCEK, at=AT, roots=AMD.roots)
    assert "KDS" in refusal.value.hint


def endorsement_of(machine: FakeMachine) -> Endorsement:
    return verify_endorsement(machine.certificates(), kind=machine.signing_key, at=AT, roots=AMD.roots)


def test_a_report_that_names_the_other_kind_of_key_is_refused() -> None:
    machine = AMD.machine()
    endorsement = endorsement_of(machine)
    machine.signing_key = SigningKey.VLEK
    with pytest.raises(NotGenuineError) as refusal:
        verify_report(parse_report(machine.report()), endorsement, at=AT)
    assert refusal.value.check == "snp.signing_key"


def test_a_kept_key_is_refused_after_its_end() -> None:
    machine = AMD.machine()
    endorsement = endorsement_of(machine)
    with pytest.raises(NotGenuineError) as refusal:
        verify_report(parse_report(machine.report()), endorsement, at=machine.not_after + timedelta(seconds=1))
    assert refusal.value.check == "snp.validity"


def test_the_borders_of_validity_belong_to_it() -> None:
    machine = AMD.machine()
    verified(machine, at=machine.not_before)
    verified(machine, at=machine.not_after)


def test_a_masked_chip_is_still_the_certificates() -> None:
    machine = AMD.machine()
    machine.chip_id_masked = True
    assert verified(machine).endorsement.chip_id == machine.chip_id


def test_turin_keeps_its_security_versions_elsewhere() -> None:
    machine = AMD.machine(Product.TURIN)
    machine.certificate_tcb = machine.tcb | {"fmc": machine.tcb["fmc"] + 1}
    with pytest.raises(NotGenuineError) as refusal:
        verified(machine)
    assert refusal.value.check == "snp.tcb"


def test_a_turin_chip_id_has_eight_bytes_and_zeros() -> None:
    machine = AMD.machine(Product.TURIN)
    machine.reserved[0x1A8] = b"\x01"
    with pytest.raises(NotGenuineError) as refusal:
        verified(machine)
    assert refusal.value.check == "snp.chip_id"


def test_unknown_bits_are_kept_not_fatal() -> None:
    machine = AMD.machine()
    machine.platform_info |= 1 << 40
    machine.reserved[0x210] = b"\x07"
    report = verified(machine).report
    assert report.platform_info & 1 << 40
    assert report.unknown == ("platform_info bits 0x10000000000", f"reserved 0x208 = {'00' * 8}07{'00' * 143}")


def test_flags_of_the_platform_are_named() -> None:
    machine = AMD.machine()
    machine.platform_info = PlatformInfo.SMT_ENABLED | PlatformInfo.SEV_TIO
    assert verified(machine).report.platform_flags == {"sev_tio"}
    machine.platform_info = 0
    assert verified(machine).report.platform_flags == {"smt_disabled"}


@pytest.mark.parametrize("version", [0, 1, 6, 2**32 - 1])
def test_an_unknown_version_is_refused(version: int) -> None:
    machine = AMD.machine()
    machine.version = version
    with pytest.raises(MalformedError, match=f"version {version}"):
        parse_report(machine.report())


GOOD = AMD.machine(Product.GENOA).report()
GOOD_CERTIFICATE = AMD.machine(Product.GENOA).certificate()


@pytest.mark.parametrize("size", [0, 1, 672, 1183, 1185, 1 << 20])
def test_another_length_is_refused(size: int) -> None:
    with pytest.raises(MalformedError, match="expected 1184"):
        parse_report(GOOD.ljust(size, b"\0")[:size])


def test_bytes_beside_the_signature_are_refused() -> None:
    with pytest.raises(MalformedError, match="beside its signature"):
        parse_report(GOOD[:-1] + b"\x01")


@given(st.binary(min_size=1184, max_size=1184))
def test_a_report_of_noise_meets_only_our_errors(data: bytes) -> None:
    endorsement = endorsement_of(AMD.machine(Product.GENOA))
    with pytest.raises(AttestationError):
        verify_report(parse_report(data), endorsement, at=AT)


@given(st.binary(max_size=600) | st.integers(0, len(GOOD_CERTIFICATE)).map(lambda size: GOOD_CERTIFICATE[:size]))
def test_a_certificate_of_noise_meets_only_our_errors(data: bytes) -> None:
    with pytest.raises(AttestationError):
        verify_endorsement([data[:-1]], kind=SigningKey.VCEK, at=AT, roots=AMD.roots)


@given(st.integers(0, len(GOOD_CERTIFICATE) - 1), st.integers(0, 255))
def test_a_changed_certificate_meets_only_our_errors(position: int, value: int) -> None:
    changed = bytearray(GOOD_CERTIFICATE)
    changed[position] = value
    certificates = (bytes(changed), *AMD.machine(Product.GENOA).certificates()[1:])
    if bytes(changed) == GOOD_CERTIFICATE:
        return
    with pytest.raises(AttestationError):
        verify_endorsement(certificates, kind=SigningKey.VCEK, at=AT, roots=AMD.roots)


def test_every_real_field_survives_a_change_of_generation() -> None:
    for product in Product:
        machine = replace(AMD.machine(product), version=3, host_data=bytes(range(32)))
        assert parse_report(machine.report()).host_data == bytes(range(32))
        assert parse_certificate(machine.certificate()).serial == 0
