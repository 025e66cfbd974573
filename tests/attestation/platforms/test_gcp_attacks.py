# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What only Google Cloud's evidence makes possible to try."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from attestation import Evidence, Variant
from attestation.binding import quote_beside_report, report_data
from attestation.evidence import SnpEvidence
from attestation.testing.authority import FakeAuthority
from attestation.testing.boot_log import BootLog
from attestation.testing.node import FakeNode
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.event_types import EventType
from attestation.tpm.gce_event import SIGNATURE

BINDING = hashlib.sha256(b"binding").digest()
CERTIFIED = (Variant.GCP_SEV_SNP, Variant.GCP_SEV_ES)


def reasons(node: FakeNode, evidence: Evidence | None = None) -> set[str]:
    return {mismatch.name for mismatch in node.verdict(BINDING, evidence=evidence).mismatches}


def log_of(*technologies: int, data: bytes = SIGNATURE) -> BootLog:
    log = BootLog(HashAlgorithm.SHA256)
    log.measure(0, EventType.EV_S_CRTM_VERSION, b"firmware")
    for technology in technologies:
        log.measure(0, EventType.EV_NONHOST_INFO, data + bytes((technology,)) + bytes(15))
    return log


def logged(log: BootLog) -> FakeNode:
    node = FakeNode(Variant.GCP_SEV_ES)
    node.tpm.pcrs |= log.registers
    node.tpm.event_log = log.to_bytes()
    return node


@pytest.mark.parametrize("technology", [2, 4])
def test_encrypted_registers_are_accepted(technology: int) -> None:
    assert reasons(logged(log_of(technology))) == set()


@pytest.mark.parametrize("technology", [0, 1, 3])
def test_machines_whose_registers_the_host_reads_are_refused(technology: int) -> None:
    node = logged(log_of(technology))
    assert reasons(node) == {"gcp.technology"}
    assert not node.verdict(BINDING).genuine


@pytest.mark.parametrize("log", [log_of(), log_of(2, data=b"Another NonHost\0")], ids=["no_event", "another_event"])
def test_a_log_that_names_no_technology_is_refused(log: BootLog) -> None:
    assert reasons(logged(log)) == {"gcp.technology"}


@pytest.mark.parametrize("log", [log_of(2, 2), log_of(77)], ids=["two_events", "unknown_technology"])
def test_a_log_that_cannot_be_understood_is_refused(log: BootLog) -> None:
    assert reasons(logged(log)) == {"format"}


def test_no_log_is_refused() -> None:
    node = FakeNode(Variant.GCP_SEV_ES)
    node.tpm.event_log = b""
    assert reasons(node) == {"gcp.event_log"}


def test_the_log_of_an_encrypted_machine_beside_another_register_is_refused() -> None:
    node = logged(log_of(0))
    node.tpm.event_log = log_of(2).to_bytes()
    assert reasons(node) == {"event_log", "gcp.event_log"}


def test_a_log_about_other_registers_is_refused() -> None:
    node = FakeNode(Variant.GCP_SEV_ES)
    log = BootLog(HashAlgorithm.SHA256)
    log.measure(4, EventType.EV_EFI_BOOT_SERVICES_APPLICATION, b"boot loader")
    node.tpm.event_log = log.to_bytes()
    assert reasons(node) == {"gcp.event_log"}


def test_data_that_was_not_measured_names_nothing() -> None:
    node = logged(log_of(1))
    genuine, wanted = (SIGNATURE + bytes((technology,)) for technology in (1, 2))
    node.tpm.event_log = node.tpm.event_log.replace(genuine, wanted)
    assert reasons(node) == {"gcp.technology"}


@pytest.mark.parametrize("variant", CERTIFIED)
def test_a_certificate_by_an_impostor_is_refused(variant: Variant) -> None:
    node = FakeNode(variant)
    node.authority = FakeAuthority("gcp", owner="mallory")
    assert all(name.startswith("ak_roots") for name in reasons(node))
    assert not node.verdict(BINDING).genuine


@pytest.mark.parametrize("variant", CERTIFIED)
def test_a_certificate_without_its_chain_is_refused(variant: Variant) -> None:
    node = FakeNode(variant)
    node.parts["ak_chain"] = None
    assert reasons(node) == {"ak_roots.path"}


@pytest.mark.parametrize("variant", CERTIFIED)
@pytest.mark.parametrize("part", ["ak_certificate", "ak_chain"])
def test_broken_certificates_are_refused(variant: Variant, part: str) -> None:
    node = FakeNode(variant)
    node.parts[part] = b"\x30\x82\xff\xff"
    assert reasons(node) == {"format"}


def test_nine_certificates_are_refused() -> None:
    node = FakeNode(Variant.GCP_SEV_ES)
    node.parts["ak_chain"] = node.authority.intermediate * 9
    assert reasons(node) == {"format"}


def test_a_root_in_the_policy_that_is_none_is_named() -> None:
    node = FakeNode(Variant.GCP_SEV_ES)
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    verdict = node.verdict(BINDING, policy=node.policy() | {"ak_roots": [broken]})
    assert [mismatch.name for mismatch in verdict.mismatches] == ["ak_roots"]


def test_the_report_of_another_machine_beside_the_quote_is_refused() -> None:
    node, other = FakeNode(Variant.GCP_SEV_SNP), FakeNode(Variant.GCP_SEV_SNP)
    theirs = SnpEvidence(other.snp.report(report_data(BINDING)), other.snp.certificates())
    assert reasons(node, replace(node.evidence(BINDING), snp=theirs)) == {"tpm.binding"}


def test_the_quote_of_a_machine_without_snp_beside_a_report_is_refused() -> None:
    node = FakeNode(Variant.GCP_SEV_SNP)
    evidence = node.evidence(BINDING)
    assert reasons(node, replace(evidence, tpm=node.tpm.evidence(BINDING))) == {"tpm.binding"}


def test_report_and_quote_of_recorded_evidence_must_belong_together() -> None:
    node = FakeNode(Variant.GCP_SEV_SNP)
    evidence = replace(node.evidence(BINDING), tpm=node.tpm.evidence(BINDING))
    assert [mismatch.name for mismatch in node.verdict(None, evidence=evidence).mismatches] == ["tpm.binding"]


def test_a_quote_names_its_report_by_hash() -> None:
    expected = hashlib.sha256(BINDING + hashlib.sha256(b"report").digest()).digest()
    assert quote_beside_report(BINDING, b"report") == expected
