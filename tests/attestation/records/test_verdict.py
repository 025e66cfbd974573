# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A verdict cannot be confused with a truth value, nor made without evidence and checks."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from attestation import Evidence, Mark, Policy, SnpEvidence, Variant, Verdict, judge
from attestation.errors import NotAcceptedError, NotGenuineError, PolicyError
from attestation.insecure import InsecureIssuer
from attestation.proof import Proof
from attestation.snp.verify import VerifiedReport
from attestation.verdict import Findings, Mismatch

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BINDING = bytes(range(32))
INSECURE = Policy.from_mapping({"variant": "insecure"})


def verdict_about(evidence: Evidence) -> Verdict:
    return judge(evidence, INSECURE, binding=BINDING, at=NOW)


def test_a_verdict_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match=r"verdict\.accepted"):
        bool(verdict_about(InsecureIssuer().issue(BINDING)))


def test_a_verdict_needs_evidence() -> None:
    with pytest.raises(TypeError, match="needs evidence"):
        Verdict.close(cast("Evidence", b"bytes"), Findings(), at=NOW)


def test_a_verdict_rests_on_proofs_only() -> None:
    findings = Findings(proofs=[cast("Proof", "trust me")])
    with pytest.raises(TypeError, match="rests on proofs"):
        Verdict.close(Evidence(Variant.INSECURE), findings, at=NOW)


def test_a_verdict_does_not_change_with_the_findings() -> None:
    findings = Findings(measurements={"4": bytes(32)})
    verdict = Verdict.close(Evidence(Variant.INSECURE), findings, at=NOW)
    findings.refuse("late", expected="nothing", got="something")
    findings.measurements["4"] = b"\x01" * 32
    assert verdict.mismatches == ()
    assert verdict.measurements == {"4": bytes(32)}


def test_a_proof_cannot_be_made_out_of_another() -> None:
    proof = verdict_about(InsecureIssuer().issue(BINDING)).proofs[0]
    with pytest.raises((TypeError, ValueError), match="seal"):  # which one depends on the Python
        replace(proof, vouchers=("me",))  # type: ignore[call-arg]


def test_nobody_can_make_a_proof() -> None:
    with pytest.raises(TypeError, match="cannot be constructed"):
        Proof(vouchers=("me",), seal=object())
    fake: Any = None
    with pytest.raises(TypeError, match="cannot be constructed"):
        VerifiedReport(vouchers=("me",), seal=None, report=fake, endorsement=fake)


def test_without_a_proof_nothing_is_genuine_or_accepted() -> None:
    verdict = Verdict.close(Evidence(Variant.QEMU_SNP), Findings(), at=NOW)
    assert not verdict.genuine
    assert not verdict.accepted


def test_insecure_is_accepted_and_never_genuine() -> None:
    verdict = verdict_about(InsecureIssuer().issue(BINDING))
    assert verdict.accepted
    assert not verdict.genuine
    assert any("nobody vouches" in warning for warning in verdict.warnings)


def test_require_lists_every_reason() -> None:
    verdict = verdict_about(InsecureIssuer().issue(bytes(32)))
    with pytest.raises(NotAcceptedError, match="binding: expected") as refusal:
        verdict.require()
    assert refusal.value.verdict is verdict


def test_require_returns_an_accepted_verdict() -> None:
    verdict = verdict_about(InsecureIssuer().issue(BINDING))
    assert verdict.require() is verdict


def test_parts_that_the_variant_lacks_are_refused() -> None:
    smuggled = Evidence(Variant.INSECURE, snp=SnpEvidence(report=b""), platform={"binding": BINDING})
    verdict = verdict_about(smuggled)
    assert [mismatch.name for mismatch in verdict.mismatches] == ["evidence.parts"]


def test_a_policy_for_another_variant_is_refused() -> None:
    with pytest.raises(PolicyError, match="evidence is of variant qemu-vtpm"):
        judge(Evidence(Variant.QEMU_VTPM), INSECURE, binding=None, at=NOW)


def test_recorded_evidence_is_marked_as_such() -> None:
    verdict = judge(InsecureIssuer().issue(bytes(32)), INSECURE, binding=None, at=NOW)
    assert verdict.accepted
    assert any("freshness" in warning for warning in verdict.warnings)


def test_a_question_without_zone_or_with_a_short_binding_is_a_mistake() -> None:
    evidence = InsecureIssuer().issue(BINDING)
    with pytest.raises(ValueError, match="aware"):
        judge(evidence, INSECURE, binding=BINDING, at=datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused
    with pytest.raises(ValueError, match="32 bytes"):
        judge(evidence, INSECURE, binding=b"short", at=NOW, mark=Mark.ANY)


def test_the_record_is_versioned_and_complete() -> None:
    record = verdict_about(InsecureIssuer().issue(bytes(32))).to_mapping()
    assert record["version"] == 1
    assert record["accepted"] is False
    assert record["hardware_root"] == "none"
    assert record["mismatches"][0]["name"] == "binding"
    assert record["at"] == "2026-01-01T00:00:00+00:00"


def test_findings_turn_a_failed_check_into_a_reason() -> None:
    findings = Findings()
    with findings.checking():
        raise NotGenuineError("snp.signature", expected="one that verifies", got="noise")
    assert findings.forgeries == [Mismatch("snp.signature", "one that verifies", "noise")]


def test_a_verdict_cannot_be_made_out_of_another() -> None:
    verdict = verdict_about(InsecureIssuer().issue(bytes(32)))
    with pytest.raises((TypeError, ValueError), match="closed"):
        replace(verdict, rejections=())  # type: ignore[call-arg]


def test_nobody_can_make_a_verdict() -> None:
    verdict = verdict_about(InsecureIssuer().issue(BINDING))
    parts: dict[str, Any] = {spec.name: getattr(verdict, spec.name) for spec in fields(verdict)}
    with pytest.raises(TypeError, match="cannot be constructed"):
        Verdict(**parts, closed=object())


def test_proofs_do_not_travel() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(verdict_about(InsecureIssuer().issue(BINDING)).proofs[0])


def test_an_empty_cluster_id_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="marks nothing"):
        judge(InsecureIssuer().issue(BINDING), INSECURE, binding=BINDING, at=NOW, mark=b"")


def test_a_mark_that_no_register_holds_is_refused() -> None:
    verdict = judge(InsecureIssuer().issue(BINDING), INSECURE, binding=BINDING, at=NOW, mark=b"cluster")
    assert [mismatch.name for mismatch in verdict.mismatches] == ["mark"]
