# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The fake AMD's certificates are built like the real ones, element for element."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from attestation.der import Element, Tag, parse_der
from attestation.snp.certificate import parse_certificate
from attestation.snp.chain import shipped_chain
from attestation.snp.product import Product
from attestation.snp.report import SigningKey
from attestation.testing.amd_authority import AMD
from attestation.testing.snp import FakeAmd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attestation.testing.snp_machine import FakeMachine

KINDS = [SigningKey.VCEK, SigningKey.VLEK]
NAMING = {Tag.OBJECT_IDENTIFIER, Tag.BOOLEAN, Tag.UTF8_STRING, Tag.PRINTABLE_STRING, Tag.IA5_STRING, 0x05}
AT = datetime(2026, 1, 1, tzinfo=UTC)


def skeleton(element: Element, depth: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Every element in order: how deep, which tag, and the value where it is a name and not a key or number."""
    yield depth, element.tag, element.value if element.tag in NAMING else b""
    if element.tag & 0x20:
        for child in element.children():
            yield from skeleton(child, depth + 1)


def extensions(certificate: bytes) -> list[tuple[str, bytes]]:
    signed, *_ = parse_der(certificate).children()
    *_, wrapped = signed.children()
    (sequence,) = wrapped.children()
    parts = [tuple(extension.children()) for extension in sequence.children()]
    return [(part[0].oid(), part[-1].octets()) for part in parts]


def algorithms(certificate: bytes) -> set[bytes]:
    signed, outer, _ = parse_der(certificate).children()
    return {outer.raw, tuple(signed.children())[2].raw}


def same_build(fake: bytes, real: bytes) -> bool:
    return list(skeleton(parse_der(fake))) == list(skeleton(parse_der(real))) and algorithms(fake) == algorithms(real)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("product", Product)
def test_authorities_are_built_like_amds(product: Product, kind: SigningKey) -> None:
    signer, root = shipped_chain(product, kind)
    assert same_build(FakeAmd().signer(product, kind).certificate, signer)
    assert same_build(FakeAmd().root(product).certificate, root)


@pytest.mark.parametrize("product", Product)
def test_serial_numbers_of_authorities_are_amds(product: Product) -> None:
    for kind in KINDS:
        fake, real = FakeAmd().signer(product, kind).certificate, shipped_chain(product, kind)[0]
        assert parse_certificate(fake).serial == parse_certificate(real).serial


@pytest.mark.parametrize("product", Product)
def test_only_keys_and_their_hashes_differ_in_authorities(product: Product) -> None:
    key_identifiers = {"2.5.29.14", "2.5.29.35"}
    fake = extensions(FakeAmd().root(product).certificate)
    real = extensions(shipped_chain(product, SigningKey.VCEK)[1])
    assert [oid for oid, _ in fake] == [oid for oid, _ in real]
    assert [pair for pair in fake if pair[0] not in key_identifiers] == [
        pair for pair in real if pair[0] not in key_identifiers
    ]


def test_key_identifiers_are_computed_like_amds() -> None:
    root = x509.load_der_x509_certificate(shipped_chain(Product.MILAN, SigningKey.VCEK)[1])
    real = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert real == x509.SubjectKeyIdentifier.from_public_key(root.public_key())
    fake = FakeAmd().root(Product.MILAN)
    assert fake.key_identifier == x509.SubjectKeyIdentifier.from_public_key(fake.key.public_key()).digest


def test_a_vcek_is_built_like_a_real_one(vectors: Path) -> None:
    real = (vectors / "derived" / "snp" / "oak_milan_oc_release" / "vek.der").read_bytes()
    assert same_build(FakeAmd().machine(Product.MILAN).certificate(), real)


def test_a_vcek_that_copies_a_real_one_has_its_extensions(vectors: Path) -> None:
    real = (vectors / "derived" / "snp" / "oak_milan_oc_release" / "vek.der").read_bytes()
    machine = FakeAmd().machine(Product.MILAN, chip_id=dict(extensions(real))[f"{AMD}.4"])
    assert extensions(machine.certificate()) == extensions(real)


def certificate_oids(machine: FakeMachine) -> list[str]:
    return [oid.removeprefix(f"{AMD}.") for oid, _ in extensions(machine.certificate())]


def test_extensions_stand_in_the_order_of_the_specification() -> None:
    amd = FakeAmd()
    zen3 = ["1", "2", "3.1", "3.2", "3.4", "3.5", "3.6", "3.7", "3.3", "3.8"]
    zen5 = ["1", "2", "3.9", "3.1", "3.2", "3.3", "3.5", "3.6", "3.7", "3.8"]
    assert certificate_oids(amd.machine(Product.GENOA)) == [*zen3, "4"]
    assert certificate_oids(amd.machine(Product.TURIN)) == [*zen5, "4"]
    assert certificate_oids(amd.machine(Product.GENOA, signing_key=SigningKey.VLEK)) == [*zen3, "5"]


@pytest.mark.parametrize("product", Product)
def test_the_serial_number_is_zero(product: Product) -> None:
    certificate = parse_certificate(FakeAmd().machine(product).certificate())
    assert certificate.serial == 0
    assert certificate.common_name == "SEV-VCEK"


def test_the_same_amd_has_the_same_keys_and_another_has_others() -> None:
    product = Product.MILAN
    assert FakeAmd().root(product).certificate == FakeAmd().root(product).certificate
    assert FakeAmd().root(product).fingerprint != FakeAmd("mallory").root(product).fingerprint


def test_roots_are_those_of_all_product_lines_and_of_nobody_else() -> None:
    amd = FakeAmd()
    assert amd.roots.amd == {amd.root(product).fingerprint for product in Product}
    assert len(amd.roots.amd) == 3
    assert amd.roots.intel == frozenset()


@pytest.mark.parametrize("revoked", [(), (0x10001,), (0x10001, 0x10101)])
def test_revocation_lists(revoked: tuple[int, ...]) -> None:
    amd, until = FakeAmd(), datetime(2051, 1, 1, tzinfo=UTC)
    crl = x509.load_der_x509_crl(amd.crl(Product.MILAN, this_update=AT, next_update=until, revoked=revoked))
    assert crl.is_signature_valid(amd.root(Product.MILAN).key.public_key())
    assert tuple(entry.serial_number for entry in crl) == revoked
    assert crl.issuer.public_bytes() == amd.root(Product.MILAN).subject
    assert (crl.last_update_utc, crl.next_update_utc) == (AT, until)
