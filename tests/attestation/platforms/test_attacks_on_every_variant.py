# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What anybody would try on any variant, tried on each."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from itertools import permutations
from typing import Any

import pytest

from attestation import Evidence, Mark, Policy, Variant, judge
from attestation.errors import PolicyError
from attestation.evidence import SnpEvidence, TdxEvidence, TpmEvidence
from attestation.testing.node import FakeNode
from attestation.testing.tpm import SoftwareTpm
from attestation.tpm.public import ObjectAttributes
from attestation.variant import HardwareRoot, Technology

BINDING = hashlib.sha256(b"binding").digest()
OTHER = hashlib.sha256(b"another binding").digest()
CLUSTER = hashlib.sha256(b"cluster").digest()

GENUINE = tuple(variant for variant in Variant if variant is not Variant.INSECURE)
WITH_TPM = tuple(variant for variant in GENUINE if Technology.TPM in variant.technologies)
WITH_SNP = tuple(variant for variant in GENUINE if Technology.SNP in variant.technologies)
MARKED = tuple(variant for variant in GENUINE if variant.mark_register)
# Nothing but itself vouches for the key of such a vTPM: whatever has a TPM can pass for it, and every verdict says so.
ROOTLESS = (Variant.QEMU_VTPM, Variant.OPENSTACK_VTPM)
SEVERAL_PARTS = [
    (variant, part) for variant in GENUINE if len(variant.technologies) > 1 for part in sorted(variant.technologies)
]


@cache
def good(variant: Variant) -> FakeNode:
    """A node that no test changes."""
    return FakeNode(variant)


@cache
def issued(variant: Variant) -> Evidence:
    return good(variant).evidence(BINDING)


def reasons(node: FakeNode, evidence: Evidence | None = None, mark: Mark | bytes = Mark.UNMARKED) -> set[str]:
    verdict = node.verdict(BINDING, evidence=evidence, mark=mark)
    assert verdict.accepted is not bool(verdict.mismatches)
    return {mismatch.name for mismatch in verdict.mismatches}


@pytest.mark.parametrize("variant", GENUINE)
def test_good_evidence_is_accepted_and_genuine(variant: Variant) -> None:
    verdict = good(variant).verdict(BINDING, evidence=issued(variant))
    assert verdict.accepted
    assert verdict.genuine
    assert verdict.identity is not None
    no_root = any("no hardware root" in warning for warning in verdict.warnings)
    assert no_root is (variant.hardware_root is HardwareRoot.NONE)


@pytest.mark.parametrize("variant", GENUINE)
def test_recorded_evidence_is_accepted_and_says_so(variant: Variant) -> None:
    verdict = good(variant).verdict(None, evidence=issued(variant))
    assert verdict.accepted
    assert any("freshness was not checked" in warning for warning in verdict.warnings)


@pytest.mark.parametrize("variant", Variant)
def test_evidence_for_another_binding_is_refused(variant: Variant) -> None:
    node = FakeNode(variant)
    assert any("binding" in name for name in reasons(node, node.evidence(OTHER)))


@pytest.mark.parametrize("variant", GENUINE)
@pytest.mark.parametrize("part", Technology)
def test_a_missing_or_additional_part_is_refused(variant: Variant, part: Technology) -> None:
    additional = {"tpm": TpmEvidence(b"", b"", {}), "snp": SnpEvidence(b""), "tdx": TdxEvidence(b"")}
    change: dict[str, Any] = {part: None if part in variant.technologies else additional[part]}
    assert reasons(good(variant), replace(issued(variant), **change)) == {"evidence.parts"}


@pytest.mark.parametrize("variant", GENUINE)
def test_evidence_under_the_policy_of_another_variant_is_an_error(variant: Variant) -> None:
    relabelled = replace(issued(variant), variant=Variant.INSECURE)
    with pytest.raises(PolicyError, match="the policy is for"):
        good(variant).verdict(BINDING, evidence=relabelled)


@pytest.mark.parametrize("variant, other", list(permutations(GENUINE, 2)))
def test_relabelled_evidence_is_refused(variant: Variant, other: Variant) -> None:
    verdict = good(other).verdict(BINDING, evidence=replace(issued(variant), variant=other))
    assert verdict.accepted is (other in ROOTLESS and variant.technologies == other.technologies)


@pytest.mark.parametrize("variant", WITH_TPM)
def test_a_quote_by_another_key_is_refused(variant: Variant) -> None:
    node = good(variant)
    evidence = replace(issued(variant), tpm=FakeNode(variant).evidence(BINDING).tpm)
    node_policy = node.policy() | {"ak_names": [node.ak_name.hex()]}
    verdict = node.verdict(BINDING, evidence=evidence, policy=node_policy)
    assert not verdict.accepted
    if variant not in ROOTLESS:
        assert not node.verdict(BINDING, evidence=evidence).accepted
        assert not node.verdict(BINDING, evidence=evidence).genuine


@pytest.mark.parametrize("variant, part", SEVERAL_PARTS)
def test_parts_of_two_nodes_are_refused(variant: Variant, part: Technology) -> None:
    theirs: dict[str, Any] = {part: getattr(FakeNode(variant).evidence(BINDING), part)}
    assert reasons(good(variant), replace(issued(variant), **theirs))


@pytest.mark.parametrize("variant", WITH_TPM)
def test_an_unrestricted_key_is_refused(variant: Variant) -> None:
    node = FakeNode(variant)
    node.tpm.ak_attributes &= ~ObjectAttributes.RESTRICTED
    assert "tpm.ak_attributes" in reasons(node)


@pytest.mark.parametrize("variant", WITH_TPM)
@pytest.mark.parametrize("register", [0, 4, 14])
def test_a_changed_register_value_is_refused(variant: Variant, register: int) -> None:
    node, evidence = good(variant), issued(variant)
    assert evidence.tpm is not None
    lied = replace(evidence.tpm, pcrs={**evidence.tpm.pcrs, register: bytes(31) + b"\1"})
    assert "tpm.pcr_digest" in reasons(node, replace(evidence, tpm=lied))


@pytest.mark.parametrize("variant", WITH_TPM)
def test_a_register_that_was_not_quoted_is_refused(variant: Variant) -> None:
    node = FakeNode(variant)
    node.tpm.quoted_registers = tuple(index for index in range(24) if index not in (4, 15))
    evidence = node.evidence(BINDING)
    assert evidence.tpm is not None
    shown = {index: value for index, value in evidence.tpm.pcrs.items() if index not in (4, 15)}
    found = reasons(node, replace(evidence, tpm=replace(evidence.tpm, pcrs=shown)))
    assert {"measurements.4", "mark"} <= found


@pytest.mark.parametrize("variant", WITH_TPM)
def test_a_log_that_does_not_replay_is_refused(variant: Variant) -> None:
    node = FakeNode(variant)
    node.tpm.event(9, b"something that the log does not show")
    assert "event_log" in reasons(node)


@pytest.mark.parametrize("variant", WITH_TPM)
def test_a_log_that_cannot_be_read_is_refused(variant: Variant) -> None:
    node = FakeNode(variant)
    node.tpm.event_log = node.tpm.event_log[:-1]
    assert reasons(node) & {"event_log", "format"}


@pytest.mark.parametrize("variant", WITH_SNP)
def test_stripped_certificates_are_refused(variant: Variant) -> None:
    node, evidence = good(variant), issued(variant)
    assert evidence.snp is not None
    stripped = replace(evidence, snp=replace(evidence.snp, certificates=()))
    assert "snp.certificates" in reasons(node, stripped)
    assert not node.verdict(BINDING, evidence=stripped).genuine


@pytest.mark.parametrize("variant", WITH_SNP)
def test_another_vendor_key_is_refused(variant: Variant) -> None:
    node = good(variant)
    verdict = judge(issued(variant), Policy.from_mapping(node.policy()), binding=BINDING, at=node.at)
    assert verdict.mismatches[0].name == "snp.root"


def marked(variant: Variant) -> FakeNode:
    node = FakeNode(variant)
    node.tpm.event(15, CLUSTER)
    digest = hashlib.sha384(CLUSTER).digest()
    node.tdx.rtmrs[3] = hashlib.sha384(node.tdx.rtmrs[3] + digest).digest()
    return node


@pytest.mark.parametrize("variant", MARKED)
def test_a_marked_node_is_refused_where_a_new_one_is_expected(variant: Variant) -> None:
    assert reasons(marked(variant)) == {"mark"}


@pytest.mark.parametrize("variant", MARKED)
def test_a_marked_node_is_accepted_as_any_or_as_its_own_clusters(variant: Variant) -> None:
    assert reasons(marked(variant), mark=Mark.ANY) == set()
    assert reasons(marked(variant), mark=CLUSTER) == set()


@pytest.mark.parametrize("variant", MARKED)
def test_the_mark_of_another_cluster_is_refused(variant: Variant) -> None:
    assert reasons(marked(variant), mark=OTHER) == {"mark"}
    assert reasons(FakeNode(variant), mark=CLUSTER) == {"mark"}


@pytest.mark.parametrize("variant", WITH_TPM)
def test_identity_is_that_of_the_key(variant: Variant) -> None:
    node = FakeNode(variant)
    first, second = node.verdict(BINDING), node.verdict(BINDING)
    assert first.identity == second.identity == hashlib.sha256(node.ak_name).digest()
    assert first.identity_kind == "TPM name"
    assert FakeNode(variant).verdict(BINDING).identity != first.identity


@pytest.mark.parametrize("variant", WITH_TPM)
def test_a_register_that_is_not_enforced_warns(variant: Variant) -> None:
    node = FakeNode(variant)
    node.tpm.event_log = b"" if variant is not Variant.GCP_SEV_ES else node.tpm.event_log
    policy = node.policy()
    policy["measurements"]["0"]["expected"] = "00" * 32
    verdict = node.verdict(BINDING, policy=policy)
    assert verdict.accepted
    assert any(warning.startswith("measurements.0") for warning in verdict.warnings)


def test_a_tpm_of_software_passes_for_a_vtpm_and_the_verdict_says_so() -> None:
    node = FakeNode(Variant.QEMU_VTPM)
    mallory = SoftwareTpm(pcrs=dict(node.tpm.pcrs))
    verdict = node.verdict(BINDING, evidence=Evidence(Variant.QEMU_VTPM, tpm=mallory.evidence(BINDING)))
    assert verdict.accepted
    assert verdict.warnings[0] == "no hardware root: whoever controls the host can forge this evidence"
