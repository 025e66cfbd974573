# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A fake machine is genuine until one line breaks one property; then exactly that one is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attestation.errors import NotGenuineError
from attestation.snp.product import Product
from attestation.snp.report import Firmware, GuestPolicy, SigningKey, parse_report
from attestation.snp.verify import VerifiedReport, verify_endorsement, verify_report
from attestation.testing.snp import FakeAmd

if TYPE_CHECKING:
    from collections.abc import Callable

    from attestation.testing.snp_machine import FakeMachine

AT = datetime(2026, 1, 1, tzinfo=UTC)
BREAKS: dict[str, tuple[str, Callable[[FakeMachine], object]]] = {
    "flipped r": ("snp.signature", lambda it: setattr(it, "signature_r", 1)),
    "flipped s": ("snp.signature", lambda it: setattr(it, "signature_s", 1 << 383)),
    "r out of range": ("snp.signature", lambda it: setattr(it, "signature_r", 1 << 500)),
    "algorithm": ("snp.algorithm", lambda it: setattr(it, "signature_algorithm", 2)),
    "key of another machine": ("snp.signature", lambda it: setattr(it, "certified_key", other_key())),
    "key on another curve": (
        "snp.key",
        lambda it: setattr(it, "certified_key", ec.generate_private_key(ec.SECP256R1()).public_key()),
    ),
    "certificate of another patch level": (
        "snp.tcb",
        lambda it: setattr(it, "certificate_tcb", it.tcb | {"microcode": 1}),
    ),
    "certificate of another chip": ("snp.chip_id", lambda it: setattr(it, "hwid", b"\1" * len(it.chip_id))),
    "certificate of no known product": ("snp.product", lambda it: setattr(it, "certificate_product", "Naples-B0")),
    "expired": ("snp.validity", lambda it: setattr(it, "not_after", datetime(2025, 12, 31, tzinfo=UTC))),
    "not yet valid": ("snp.validity", lambda it: setattr(it, "not_before", datetime(2026, 1, 2, tzinfo=UTC))),
    "another CPU": ("snp.product", lambda it: setattr(it, "cpuid", (0x17, 0x31, 0))),
    "own authority": ("snp.root", lambda it: setattr(it, "certified_by", FakeAmd("mallory").signer(it.product))),
    "signer that is no authority": (
        "snp.chain",
        lambda it: setattr(it, "certified_by", replace(it.amd.signer(it.product), is_authority=False)),
    ),
    "no hardware id": ("snp.certificate", lambda it: it.omitted_extensions.add("1.3.6.1.4.1.3704.1.4")),
}


def other_key() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP384R1()).public_key()


def verify(machine: FakeMachine, kind: SigningKey | None = None) -> VerifiedReport:
    evidence, roots = machine.evidence(), machine.amd.roots
    kind = machine.signing_key if kind is None else kind
    endorsement = verify_endorsement(evidence.certificates, kind=kind, at=AT, roots=roots)
    return verify_report(parse_report(evidence.report), endorsement, at=AT)


@pytest.mark.parametrize("version", range(2, 6))
@pytest.mark.parametrize("kind", [SigningKey.VCEK, SigningKey.VLEK])
@pytest.mark.parametrize("product", Product)
def test_every_machine_is_genuine(product: Product, kind: SigningKey, version: int) -> None:
    machine = FakeAmd().machine(product, signing_key=kind)
    machine.version = version
    verified = verify(machine)
    assert verified.product is product
    assert verified.report.unknown == ()
    assert product.tcb(verified.report.reported_tcb) == machine.tcb


@pytest.mark.parametrize("product", [Product.GENOA, Product.TURIN])
@pytest.mark.parametrize("name", BREAKS)
def test_one_line_breaks_one_property(name: str, product: Product) -> None:
    check, break_it = BREAKS[name]
    machine = FakeAmd().machine(product)
    break_it(machine)
    with pytest.raises(NotGenuineError) as refused:
        verify(machine)
    assert refused.value.check == check


def test_a_masked_chip_is_genuine_and_not_named() -> None:
    machine = FakeAmd().machine()
    machine.chip_id_masked = True
    assert verify(machine).report.chip_id == bytes(64)


def test_an_unsigned_report_has_no_signature() -> None:
    machine = FakeAmd().machine()
    machine.signing_key = SigningKey.NONE
    report = parse_report(machine.report())
    assert report.signing_key is SigningKey.NONE
    assert (report.signature_r, report.signature_s) == (0, 0)


def test_debug_is_a_bit_of_the_policy() -> None:
    machine = FakeAmd().machine()
    assert not machine.debug
    machine.debug = True
    assert machine.policy & GuestPolicy.DEBUG
    assert parse_report(machine.report()).debug
    machine.debug = False
    assert not parse_report(machine.report()).debug


VALUES = {
    "version": 4,
    "guest_svn": 7,
    "policy": 0x3FFFFFF,
    "family_id": b"f" * 16,
    "image_id": b"i" * 16,
    "vmpl": 3,
    "platform_info": 0xBF,
    "author_key_enabled": True,
    "chip_key_masked": True,
    "measurement": b"m" * 48,
    "host_data": b"h" * 32,
    "id_key_digest": b"k" * 48,
    "author_key_digest": b"a" * 48,
    "report_id": b"r" * 32,
    "report_id_ma": b"q" * 32,
    "report_data": b"d" * 64,
    "chip_id": b"c" * 64,
    "current_firmware": Firmware(major=1, minor=2, build=3),
    "committed_firmware": Firmware(major=4, minor=5, build=6),
    "launch_mitigations": 1 << 63,
    "current_mitigations": 1 << 62,
}


@pytest.mark.parametrize("field", VALUES)
def test_a_report_says_what_the_machine_is_told(field: str) -> None:
    machine = FakeAmd().machine()
    before = parse_report(machine.report())
    setattr(machine, field, VALUES[field])
    after = parse_report(machine.report())
    assert getattr(after, field) == VALUES[field] != getattr(before, field)
    assert after.unknown == ()


@pytest.mark.parametrize("which", ["current", "committed", "launch"])
def test_each_tcb_can_be_set(which: str) -> None:
    machine = FakeAmd().machine(Product.TURIN)
    setattr(machine, f"{which}_tcb", machine.tcb | {"fmc": 9})
    report = parse_report(machine.report())
    assert getattr(report, f"{which}_tcb")[0] == 9
    assert report.reported_tcb[0] == machine.tcb["fmc"]


def test_what_is_asked_to_be_signed_is_padded_with_zeros() -> None:
    machine = FakeAmd().machine()
    assert parse_report(machine.report(b"x" * 32)).report_data == b"x" * 32 + bytes(32)
    assert parse_report(machine.evidence(b"y" * 64).report).report_data == b"y" * 64


def test_unknown_bits_are_written_and_signed() -> None:
    machine = FakeAmd().machine()
    machine.reserved[0x210] = b"\x01"
    machine.policy |= 1 << 40
    assert len(verify(machine).report.unknown) == 2


def test_a_vlek_does_not_pass_for_a_vcek() -> None:
    machine = FakeAmd().machine(signing_key=SigningKey.VLEK)
    with pytest.raises(NotGenuineError) as refused:
        verify(machine, SigningKey.VCEK)
    assert refused.value.check == "snp.chain"
