# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What only Azure's chain makes possible to try."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from attestation import Evidence, Policy, Variant, judge
from attestation.azure.validator import hash_report_data
from attestation.policy_fields import FIELDS
from attestation.testing.authority import FakeAuthority
from attestation.testing.node import FakeNode
from attestation.testing.tpm import SoftwareTpm

BINDING = hashlib.sha256(b"binding").digest()
WITH_PARAVISOR = (Variant.AZURE_SEV_SNP, Variant.AZURE_TDX)


def reasons(node: FakeNode, evidence: Evidence | None = None) -> set[str]:
    return {mismatch.name for mismatch in node.verdict(BINDING, evidence=evidence).mismatches}


@pytest.mark.parametrize("variant", WITH_PARAVISOR)
def test_runtime_data_that_the_hardware_did_not_hash_is_refused(variant: Variant) -> None:
    node = FakeNode(variant)
    mallory = SoftwareTpm("rsa", pcrs=dict(node.tpm.pcrs), event_log=node.tpm.event_log)
    node.paravisor.hashed_data = node.paravisor.runtime_data()
    node.paravisor.tpm = mallory
    verdict = node.verdict(BINDING)
    assert {mismatch.name for mismatch in verdict.mismatches} == {"binding"}
    assert not verdict.genuine


@pytest.mark.parametrize("variant", WITH_PARAVISOR)
def test_runtime_data_about_another_key_is_refused(variant: Variant) -> None:
    node = FakeNode(variant)
    node.paravisor.named_key = SoftwareTpm("rsa").public_key
    assert reasons(node) == {"tpm.ak_public"}


@pytest.mark.parametrize("variant", WITH_PARAVISOR)
def test_the_key_of_the_runtime_data_must_have_signed_the_quote(variant: Variant) -> None:
    node = FakeNode(variant)
    node.paravisor.named_key = SoftwareTpm("rsa").public_key
    evidence = node.evidence(BINDING)
    assert evidence.tpm is not None
    silent = replace(evidence, tpm=replace(evidence.tpm, ak_public=b""))
    assert reasons(node, silent) == {"tpm.signature"}


@pytest.mark.parametrize("variant", WITH_PARAVISOR)
def test_a_key_without_its_public_area_is_accepted_and_identified_as_such(variant: Variant) -> None:
    node = FakeNode(variant)
    evidence = node.evidence(BINDING)
    assert evidence.tpm is not None
    verdict = node.verdict(BINDING, evidence=replace(evidence, tpm=replace(evidence.tpm, ak_public=b"")))
    assert verdict.accepted
    assert verdict.identity_kind == "attestation key"
    assert any("bare key" in warning for warning in verdict.warnings)


def test_a_key_without_its_public_area_has_no_name_to_list() -> None:
    node = FakeNode(Variant.AZURE_SEV_SNP)
    evidence = node.evidence(BINDING)
    assert evidence.tpm is not None
    silent = replace(evidence, tpm=replace(evidence.tpm, ak_public=b""))
    policy = node.policy() | {"ak_names": [node.ak_name.hex()]}
    verdict = node.verdict(BINDING, evidence=silent, policy=policy)
    assert [mismatch.name for mismatch in verdict.mismatches] == ["ak_names"]


@pytest.mark.parametrize("variant", WITH_PARAVISOR)
@pytest.mark.parametrize("data", [None, b"", b"{}", b"\xff"])
def test_missing_or_broken_runtime_data_is_refused(variant: Variant, data: bytes | None) -> None:
    node = FakeNode(variant)
    node.parts["runtime_data"] = data
    verdict = node.verdict(BINDING)
    assert not verdict.genuine
    assert {mismatch.name for mismatch in verdict.mismatches} <= {"binding", "format", "azure.runtime_data"}


def test_a_report_of_the_guest_itself_is_refused() -> None:
    node = FakeNode(Variant.AZURE_SEV_SNP)
    node.snp.vmpl = 2
    assert reasons(node) == {"vmpl"}


def test_a_machine_without_azures_paravisor_is_refused() -> None:
    node = FakeNode(Variant.AZURE_SEV_SNP)
    node.snp.measurement = hashlib.sha384(b"a paravisor of one's own").digest()
    assert reasons(node) == {"launch_digests"}


def test_a_td_without_azures_paravisor_is_refused_once_the_policy_can_say_so() -> None:
    node = FakeNode(Variant.AZURE_TDX)
    evidence = node.evidence(BINDING)
    policy = Policy.from_mapping(node.policy())
    if Variant.AZURE_TDX not in FIELDS["launch_digests"].variants:
        verdict = judge(evidence, policy, binding=BINDING, at=node.at, roots=node.roots)
        assert any("the paravisor is not checked" in warning for warning in verdict.warnings)
        return
    node.tdx.mr_td = hashlib.sha384(b"a paravisor of one's own").digest()
    assert reasons(node) == {"launch_digests"}


def test_rest_of_the_report_data_must_be_zero() -> None:
    runtime_data = b"{}"
    assert hash_report_data(runtime_data) == hashlib.sha256(runtime_data).digest() + bytes(32)


def test_a_certificate_by_an_impostor_is_refused() -> None:
    node = FakeNode(Variant.AZURE_TRUSTED_LAUNCH)
    node.authority = FakeAuthority("azure", owner="mallory")
    verdict = node.verdict(BINDING)
    assert not verdict.genuine
    assert all(mismatch.name.startswith("ak_roots") for mismatch in verdict.mismatches)


def test_a_certificate_of_another_key_is_refused() -> None:
    node = FakeNode(Variant.AZURE_TRUSTED_LAUNCH)
    node.parts["ak_certificate"] = node.authority.certify(SoftwareTpm().public_key)
    assert reasons(node) == {"tpm.ak_public"}


def test_no_certificate_is_refused() -> None:
    node = FakeNode(Variant.AZURE_TRUSTED_LAUNCH)
    node.parts["ak_certificate"] = None
    assert reasons(node) == {"ak_roots.certificate"}


def test_the_certificate_alone_names_the_key_where_the_node_does_not() -> None:
    node = FakeNode(Variant.AZURE_TRUSTED_LAUNCH)
    evidence = node.evidence(BINDING)
    assert evidence.tpm is not None
    assert reasons(node, replace(evidence, tpm=replace(evidence.tpm, ak_public=b""))) == set()


def test_without_certificates_a_listed_key_is_enough() -> None:
    node = FakeNode(Variant.AZURE_TRUSTED_LAUNCH)
    node.parts["ak_certificate"] = None
    policy = node.policy() | {"ak_names": [node.ak_name.hex()]}
    del policy["ak_roots"]
    assert node.verdict(BINDING, policy=policy).genuine
