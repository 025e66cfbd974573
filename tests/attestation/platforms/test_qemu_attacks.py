# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Own servers: endorsement keys, launch manifests, identities that are coarser than a key."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from attestation import Variant
from attestation.snp.product import Product
from attestation.testing.authority import FakeAuthority
from attestation.testing.node import FakeNode

BINDING = hashlib.sha256(b"binding").digest()
VTPMS = (Variant.QEMU_VTPM, Variant.OPENSTACK_VTPM)


def reasons(node: FakeNode, **fields: object) -> set[str]:
    return {mismatch.name for mismatch in node.verdict(BINDING, policy=node.policy() | fields).mismatches}


@pytest.mark.parametrize("variant", VTPMS)
def test_a_certified_endorsement_key_does_not_vouch_for_any_key_beside_it(variant: Variant) -> None:
    node = FakeNode(variant)
    verdict = node.verdict(BINDING, policy=node.policy() | {"ek_roots": [node.authority.root_pem]})
    assert [mismatch.name for mismatch in verdict.mismatches] == ["ek_roots"]
    assert "credential activation" in verdict.mismatches[0].got
    assert not verdict.genuine


@pytest.mark.parametrize("variant", VTPMS)
def test_after_a_credential_activation_its_manufacturer_vouches(variant: Variant) -> None:
    node = FakeNode(variant)
    fields = {"ek_roots": [node.authority.root_pem], "ak_names": [node.ak_name.hex()]}
    verdict = node.verdict(BINDING, policy=node.policy() | fields)
    assert verdict.accepted
    assert verdict.vouchers[0] == "CN=qemu root" if variant is Variant.QEMU_VTPM else "CN=openstack root"


@pytest.mark.parametrize("part", ["ek_certificate", "ek_chain"])
def test_a_stripped_endorsement_certificate_is_refused(part: str) -> None:
    node = FakeNode(Variant.QEMU_VTPM)
    node.parts[part] = None
    found = reasons(node, ek_roots=[node.authority.root_pem], ak_names=[node.ak_name.hex()])
    assert found <= {"ek_roots.certificate", "ek_roots.path"}
    assert found


def test_the_endorsement_certificate_of_an_impostor_is_refused() -> None:
    node = FakeNode(Variant.QEMU_VTPM)
    root = node.authority.root_pem
    node.authority = FakeAuthority("qemu", owner="mallory")
    assert reasons(node, ek_roots=[root], ak_names=[node.ak_name.hex()]) == {"ek_roots.path"}


def test_a_role_that_the_hardware_does_not_confirm_is_refused() -> None:
    control_plane = hashlib.sha256(b'{"role":"control-plane"}').digest()
    node = FakeNode(Variant.QEMU_SNP)
    node.snp.host_data = hashlib.sha256(b'{"role":"worker"}').digest()
    assert reasons(node, launch_manifests=[control_plane.hex()]) == {"launch_manifests"}


@pytest.mark.parametrize("product", [Product.MILAN, Product.TURIN])
def test_a_chip_identifies_a_node_without_a_tpm(product: Product) -> None:
    node = FakeNode(Variant.QEMU_SNP, product)
    verdict = node.verdict(BINDING)
    assert verdict.identity == hashlib.sha256(node.snp.chip_id.ljust(64, b"\0")).digest()
    assert verdict.identity_kind == "chip id"
    assert any("share it" in warning for warning in verdict.warnings)


def test_a_masked_chip_is_still_named_by_its_key() -> None:
    node = FakeNode(Variant.QEMU_SNP)
    masked = replace(node.snp, chip_id_masked=True)
    before = node.verdict(BINDING).identity
    node.snp = masked
    assert node.verdict(BINDING).identity == before


def test_the_platform_identifies_a_td() -> None:
    node = FakeNode(Variant.QEMU_TDX)
    verdict = node.verdict(BINDING)
    assert verdict.identity == hashlib.sha256(node.tdx.ppid).digest()
    assert verdict.identity_kind == "platform id"
