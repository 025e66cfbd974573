# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""AWS: whose machine it is, and what an attestation document is worth."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attestation import Evidence, Policy, Variant, judge
from attestation.aws.key_info import key_info
from attestation.policy_fields import Register
from attestation.snp.report import SigningKey
from attestation.testing.authority import FakeAuthority
from attestation.testing.nitro import FakeNitro
from attestation.testing.node import FakeNode
from attestation.testing.tpm import SoftwareTpm
from attestation.tpm.attestation_key import AttestationKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from attestation.verdict import Verdict

BINDING = hashlib.sha256(b"binding").digest()


def reasons(node: FakeNode, evidence: Evidence | None = None) -> set[str]:
    return {mismatch.name for mismatch in node.verdict(BINDING, evidence=evidence).mismatches}


@pytest.mark.parametrize(
    "csp_id", ["CN=cc-us-east-2.amazonaws.com", "cc-eu-central-1.amazonaws.com"], ids=["with_CN", "bare"]
)
def test_keys_of_aws_are_accepted(csp_id: str) -> None:
    node = FakeNode(Variant.AWS_SEV_SNP)
    node.snp.csp_id = csp_id
    assert reasons(node) == set()


@pytest.mark.parametrize(
    "csp_id",
    [
        "CN=cc-us-east-2.example.com",
        "CN=cc-us-east-2.amazonaws.com.example.com",
        "CN=mallory-cc-us-east-2.amazonaws.com",
        "CN=cc-us-east-2-amazonaws.com",
        "",
    ],
)
def test_keys_of_other_clouds_are_refused(csp_id: str) -> None:
    node = FakeNode(Variant.AWS_SEV_SNP)
    node.snp.csp_id = csp_id
    assert reasons(node) == {"aws.vlek"}


def test_a_machine_outside_aws_is_refused() -> None:
    node = FakeNode(Variant.AWS_SEV_SNP)
    node.snp.signing_key = SigningKey.VCEK
    assert reasons(node) == {"aws.vlek"}


def test_a_report_about_another_key_is_refused() -> None:
    node = FakeNode(Variant.AWS_SEV_SNP)
    evidence = node.evidence(BINDING)
    mallory = SoftwareTpm(pcrs=dict(node.tpm.pcrs), event_log=node.tpm.event_log).evidence(BINDING)
    forged = replace(evidence, tpm=mallory)
    assert reasons(node, forged) == {"binding"}
    assert not node.verdict(BINDING, evidence=forged).genuine


def test_no_key_is_refused() -> None:
    node = FakeNode(Variant.AWS_SEV_SNP)
    evidence = node.evidence(BINDING)
    assert evidence.tpm is not None
    assert reasons(node, replace(evidence, tpm=replace(evidence.tpm, ak_public=b""))) == {"tpm.ak_public"}


def test_the_verdict_says_whose_word_the_key_is() -> None:
    node = FakeNode(Variant.AWS_SEV_SNP)
    assert any("the instance's own word" in warning for warning in node.verdict(BINDING).warnings)
    listed = node.policy() | {"ak_names": [node.ak_name.hex()], "allow_unlisted_ak": False}
    verdict = node.verdict(BINDING, policy=listed)
    assert verdict.accepted
    assert not any("the instance's own word" in warning for warning in verdict.warnings)


def test_a_key_that_only_the_instance_names_is_refused_unless_the_policy_says_otherwise() -> None:
    node = FakeNode(Variant.AWS_SEV_SNP)
    silent = node.policy()
    del silent["allow_unlisted_ak"]
    assert [mismatch.name for mismatch in node.verdict(BINDING, policy=silent).mismatches] == ["allow_unlisted_ak"]


BROKEN_DOCUMENTS: dict[str, tuple[Callable[[FakeNitro], None], str]] = {
    "flipped_signature": (lambda nitro: setattr(nitro, "signature_bit", 1), "aws.document_signature"),
    "another_algorithm": (lambda nitro: setattr(nitro, "algorithm", -7), "aws.document_algorithm"),
    "a_weak_bank": (lambda nitro: nitro.changes.update(digest="SHA256"), "aws.document_bank"),
    "another_nonce": (lambda nitro: nitro.changes.update(nonce=bytes(32)), "aws.document_binding"),
    "no_nonce": (lambda nitro: nitro.changes.update(nonce=None), "aws.document_binding"),
    "about_another_key": (lambda nitro: nitro.changes.update(user_data=b"x"), "aws.document_key"),
    "about_no_key": (lambda nitro: nitro.changes.update(user_data=None), "aws.document_key"),
    "an_impostor": (
        lambda nitro: setattr(nitro, "authority", FakeAuthority("Nitro", owner="mallory")),
        "ak_roots.path",
    ),
    "no_authorities": (lambda nitro: nitro.changes.update(cabundle=[nitro.authority.root]), "ak_roots.path"),
    "another_certificate": (
        lambda nitro: nitro.changes.update(
            certificate=nitro.authority.certify(ec.generate_private_key(ec.SECP384R1()).public_key())
        ),
        "aws.document_signature",
    ),
    "a_key_on_another_curve": (
        lambda nitro: nitro.changes.update(
            certificate=nitro.authority.certify(ec.generate_private_key(ec.SECP256R1()).public_key())
        ),
        "aws.document_algorithm",
    ),
    "an_expired_certificate": (
        lambda nitro: nitro.changes.update(
            certificate=nitro.authority.certify(nitro.key.public_key(), not_after=datetime(2025, 1, 1, tzinfo=UTC))
        ),
        "ak_roots.time",
    ),
    "registers_of_32_bytes": (lambda nitro: nitro.changes.update(nitrotpm_pcrs={4: bytes(32)}), "format"),
    "register_32": (lambda nitro: nitro.changes.update(nitrotpm_pcrs={32: bytes(48)}), "format"),
    "no_registers": (lambda nitro: nitro.changes.update(nitrotpm_pcrs={}), "format"),
    "no_certificate": (lambda nitro: nitro.changes.update(certificate=b""), "format"),
    "no_bundle": (lambda nitro: nitro.changes.update(cabundle=[]), "format"),
    "time_in_text": (lambda nitro: nitro.changes.update(timestamp="now"), "format"),
    "time_out_of_range": (lambda nitro: nitro.changes.update(timestamp=2**64 - 1), "format"),
    "user_data_too_long": (lambda nitro: nitro.changes.update(user_data=bytes(1025)), "format"),
}


@pytest.mark.parametrize("change, name", BROKEN_DOCUMENTS.values(), ids=BROKEN_DOCUMENTS.keys())
def test_a_broken_document_is_refused(change: Callable[[FakeNitro], None], name: str) -> None:
    node = FakeNode(Variant.AWS_NITRO_TPM)
    change(node.nitro)
    assert reasons(node) == {name}
    assert not node.verdict(BINDING).genuine


def test_every_flipped_byte_of_a_document_is_refused() -> None:
    node = FakeNode(Variant.AWS_NITRO_TPM)
    evidence = node.evidence(BINDING)
    document = evidence.platform["nitro_document"]
    for position in range(0, len(document), 7):
        flipped = bytearray(document)
        flipped[position] ^= 1
        assert reasons(node, replace(evidence, platform={"nitro_document": bytes(flipped)})), position


@pytest.mark.parametrize("document", [None, b"", b"\xd2\x84"])
def test_no_document_is_refused(document: bytes | None) -> None:
    node = FakeNode(Variant.AWS_NITRO_TPM)
    node.parts["nitro_document"] = document
    assert reasons(node) <= {"ak_roots.document", "format"}
    assert not node.verdict(BINDING).genuine


def test_a_tagged_document_is_read_too() -> None:
    node = FakeNode(Variant.AWS_NITRO_TPM)
    node.parts["nitro_document"] = b"\xd2" + node.evidence(BINDING).platform["nitro_document"]
    assert reasons(node) == set()


def test_a_document_does_not_vouch_for_the_key_that_software_chose() -> None:
    node = FakeNode(Variant.AWS_NITRO_TPM)
    policy = node.policy()
    del policy["ak_names"]
    verdict = node.verdict(BINDING, policy=policy)
    assert [mismatch.name for mismatch in verdict.mismatches] == ["ak_roots"]
    assert not verdict.genuine


def test_without_a_document_a_listed_key_is_enough() -> None:
    node = FakeNode(Variant.AWS_NITRO_TPM)
    node.parts["nitro_document"] = None
    policy = node.policy()
    del policy["ak_roots"]
    assert node.verdict(BINDING, policy=policy).genuine


def judged_by_document(
    node: FakeNode, evidence: Evidence | None = None, fields: dict[str, Any] | None = None
) -> Verdict:
    """Judge by SHA-384 measurements and nothing that lists the key."""
    wide = {"4": Register(hashlib.sha384(b"boot loader").digest(), enforced=True)}
    defaults: dict[str, Any] = {"ak_names": (), "measurements": wide}
    policy = replace(Policy.from_mapping(node.policy()), **(defaults | (fields or {})))
    return judge(evidence or node.evidence(BINDING), policy, binding=BINDING, at=node.at, roots=node.roots)


def test_a_document_with_the_expected_registers_vouches_for_the_key() -> None:
    verdict = judged_by_document(FakeNode(Variant.AWS_NITRO_TPM))
    assert verdict.mismatches == ()
    assert verdict.vouchers == ("CN=Nitro root", "CN=Nitro intermediate", "NitroTPM " + FakeNitro().instance)


def test_registers_of_the_document_are_compared() -> None:
    node = FakeNode(Variant.AWS_NITRO_TPM)
    node.nitro.registers[4] = hashlib.sha384(b"another boot loader").digest()
    assert [mismatch.name for mismatch in judged_by_document(node).mismatches] == ["measurements.4"]


def test_sha384_measurements_without_roots_are_refused() -> None:
    node = FakeNode(Variant.AWS_NITRO_TPM)
    name = AttestationKey.from_public_area(node.tpm.ak_public).name
    verdict = judged_by_document(node, fields={"ak_roots": (), "ak_names": (name,)})
    assert [mismatch.name for mismatch in verdict.mismatches] == ["ak_roots"]


def test_sha384_measurements_that_are_not_enforced_vouch_for_nothing() -> None:
    wide = {"4": Register(hashlib.sha384(b"boot loader").digest(), enforced=False)}
    verdict = judged_by_document(FakeNode(Variant.AWS_NITRO_TPM), fields={"measurements": wide})
    assert [mismatch.name for mismatch in verdict.mismatches] == ["ak_roots"]


def test_a_quote_by_another_key_than_the_document_names_is_refused() -> None:
    node = FakeNode(Variant.AWS_NITRO_TPM)
    mallory = SoftwareTpm(pcrs=dict(node.tpm.pcrs), event_log=node.tpm.event_log).evidence(BINDING)
    verdict = judged_by_document(node, replace(node.evidence(BINDING), tpm=mallory))
    assert [mismatch.name for mismatch in verdict.mismatches] == ["aws.document_key"]
    assert not verdict.genuine


def test_user_data_is_the_key_itself() -> None:
    node = FakeNode(Variant.AWS_NITRO_TPM)
    key = AttestationKey.from_public_area(node.tpm.ak_public)
    assert key_info(key).startswith(b"\x30\x59")  # SubjectPublicKeyInfo of P-256
