# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a verdict says, word by word, and what it takes for each word."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from attestation import Evidence, Mark, Policy, Variant, Verdict, judge
from attestation.case import Case
from attestation.errors import MalformedError, NotGenuineError
from attestation.proof import SEAL, Proof
from attestation.roots import VENDOR_ROOTS
from attestation.testing.node import FakeNode
from attestation.verdict import Findings, Mismatch

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BINDING = bytes(range(32))
SOMEBODY = Proof(vouchers=("AMD", "a chip"), seal=SEAL)
NOBODY = Proof(vouchers=(), seal=SEAL)
FRESHNESS = "recorded evidence: freshness was not checked"
NO_HARDWARE = "no hardware root: whoever controls the host can forge this evidence"
OTHER_KEYS = "other keys than those of AMD and Intel were believed"


def verdict(*proofs: Proof, variant: Variant = Variant.QEMU_SNP, **found: Any) -> Verdict:  # noqa: ANN401
    return Verdict.close(Evidence(variant), Findings(proofs=list(proofs), **found), at=NOW)


MISMATCH = Mismatch("vmpl", "0", "3", "ask from VMPL 0")


@pytest.mark.parametrize(
    "proofs, found, genuine, accepted",
    [
        ((SOMEBODY,), {}, True, True),
        ((SOMEBODY, SOMEBODY), {}, True, True),
        ((), {}, False, False),
        ((NOBODY,), {}, False, False),
        ((SOMEBODY, NOBODY), {}, False, False),
        ((SOMEBODY,), {"forgeries": [MISMATCH]}, False, False),
        ((SOMEBODY,), {"mismatches": [MISMATCH]}, True, False),
    ],
)
def test_what_it_takes(proofs: tuple[Proof, ...], found: dict[str, Any], genuine: bool, accepted: bool) -> None:
    result = verdict(*proofs, **found)
    assert (result.genuine, result.accepted) == (genuine, accepted)


@pytest.mark.parametrize(
    "proofs, found, accepted",
    [((NOBODY,), {}, True), ((), {}, False), ((NOBODY,), {"mismatches": [MISMATCH]}, False)],
)
def test_what_it_takes_for_insecure(proofs: tuple[Proof, ...], found: dict[str, Any], accepted: bool) -> None:
    result = verdict(*proofs, variant=Variant.INSECURE, **found)
    assert (result.genuine, result.accepted) == (False, accepted)


def test_the_whole_record() -> None:
    result = verdict(
        SOMEBODY,
        Proof(vouchers=("AMD", "another chip"), seal=SEAL),
        forgeries=[Mismatch("snp.chain", "one", "none")],
        mismatches=[MISMATCH],
        warnings=["careful"],
        tcb={"reported": {"snp": 24}},
        measurements={"4": b"\x01\x02"},
        identity=b"\x07" * 32,
        identity_kind="chip id",
    )
    assert result.to_mapping() == {
        "version": 1,
        "variant": "qemu-snp",
        "genuine": False,
        "accepted": False,
        "hardware_root": "CPU",
        "vouchers": ["AMD", "a chip", "another chip"],
        "identity": "07" * 32,
        "identity_kind": "chip id",
        "mismatches": [
            {"name": "snp.chain", "expected": "one", "got": "none", "hint": ""},
            {"name": "vmpl", "expected": "0", "got": "3", "hint": "ask from VMPL 0"},
        ],
        "warnings": ["careful"],
        "tcb": {"reported": {"snp": 24}},
        "measurements": {"4": "0102"},
        "evidence_sha256": Evidence(Variant.QEMU_SNP).digest().hex(),
        "at": "2026-01-01T00:00:00+00:00",
    }


def test_a_node_without_identity_has_none() -> None:
    record = verdict(SOMEBODY).to_mapping()
    assert (record["identity"], record["identity_kind"]) == (None, None)
    assert Findings().identity_kind == ""


def test_evidence_stays_out_of_the_representation() -> None:
    result = Verdict.close(Evidence(Variant.QEMU_SNP, platform={"secret": b"content"}), Findings(), at=NOW)
    assert "content" not in repr(result)


def test_a_verdict_is_closed_by_nothing_that_can_be_guessed() -> None:
    parts: dict[str, Any] = dict.fromkeys(("proofs", "forgeries", "rejections", "warnings"), ())
    parts |= {"tcb": {}, "measurements": {}, "identity": None, "identity_kind": ""}
    for closed in (None, True, "", object()):
        with pytest.raises(TypeError, match="cannot be constructed"):
            Verdict(evidence=Evidence(Variant.QEMU_SNP), at=NOW, closed=closed, **parts)


def test_a_reason_is_one_sentence() -> None:
    assert str(MISMATCH) == "vmpl: expected 0, got 3"


def test_a_broken_format_is_a_reason() -> None:
    findings = Findings()
    with findings.checking():
        raise MalformedError("SNP report is cut off", hint="collect it again")
    assert findings.forgeries == [
        Mismatch("format", "well-formed evidence", "SNP report is cut off", "collect it again")
    ]


def test_a_failed_check_is_a_reason_with_its_hint() -> None:
    findings = Findings()
    with findings.checking():
        raise NotGenuineError("snp.tcb", expected="1", got="2", hint="fetch it")
    assert findings.forgeries == [Mismatch("snp.tcb", "1", "2", "fetch it")]


def case(variant: Variant, mark: Mark | bytes) -> Case:
    policy = Policy.from_mapping(FakeNode(variant).policy())
    return Case(evidence=Evidence(variant), policy=policy, binding=BINDING, mark=mark, at=NOW)


def test_vendors_are_believed_by_default() -> None:
    assert case(Variant.QEMU_SNP, Mark.ANY).roots == VENDOR_ROOTS


def test_marks_are_named_in_configuration() -> None:
    assert {mark: mark.value for mark in Mark} == {Mark.UNMARKED: "unmarked", Mark.ANY: "any"}


@pytest.mark.parametrize(
    "variant, hash_name", [(Variant.QEMU_VTPM, "sha256"), (Variant.AZURE_TDX, "sha256"), (Variant.QEMU_TDX, "sha384")]
)
def test_the_value_of_the_mark_register(variant: Variant, hash_name: str) -> None:
    zero = bytes(hashlib.new(hash_name).digest_size)
    marked = hashlib.new(hash_name, zero + hashlib.new(hash_name, b"cluster").digest()).digest()
    assert case(variant, Mark.UNMARKED).expected_mark() == zero
    assert case(variant, Mark.ANY).expected_mark() is None
    assert case(variant, b"cluster").expected_mark() == marked


@pytest.mark.parametrize("mark", [*Mark, b"cluster"])
def test_without_registers_no_mark_is_expected(mark: Mark | bytes) -> None:
    assert case(Variant.QEMU_SNP, mark).expected_mark() is None


def enforcing(node: FakeNode, *names: str) -> dict[str, Any]:
    """Let a policy enforce exactly these registers."""
    policy = node.policy()
    for name in node.variant.registers:
        value = policy["measurements"].get(name, {"expected": "00" * node.variant.register_width})["expected"]
        policy["measurements"][name] = {"expected": value, "enforced": name in names}
    return policy


@pytest.mark.parametrize(
    "variant, names, warning",
    [
        (Variant.GCP_SEV_ES, ("4", "9", "11", "12", "13"), ()),
        (Variant.GCP_SEV_ES, ("4", "9", "11", "12"), ("registers that are not enforced: 13",)),
        (Variant.GCP_SEV_ES, ("0",), ("registers that are not enforced: 4, 9, 11, 12, 13",)),
        (Variant.GCP_SEV_ES, (), ("no register is enforced: any image is accepted",)),
        (Variant.GCP_TDX, ("mrtd", "rtmr1", "rtmr2"), ()),
        (Variant.GCP_TDX, ("rtmr1",), ("registers that are not enforced: mrtd, rtmr2",)),
    ],
)
def test_registers_that_are_left_open(variant: Variant, names: tuple[str, ...], warning: tuple[str, ...]) -> None:
    node = FakeNode(variant)
    found = node.verdict(BINDING, policy=enforcing(node, *names)).warnings
    said = ("no register is enforced", "registers that are not enforced")
    assert tuple(text for text in found if text.startswith(said)) == warning


@pytest.mark.parametrize(
    "variant, warnings",
    [
        (Variant.QEMU_SNP, {OTHER_KEYS}),
        (Variant.GCP_TDX, {OTHER_KEYS}),
        (Variant.AZURE_SEV_SNP, {OTHER_KEYS}),
        (Variant.QEMU_VTPM, {NO_HARDWARE}),
        (Variant.GCP_SEV_ES, {NO_HARDWARE}),
    ],
)
def test_what_every_verdict_must_say(variant: Variant, warnings: set[str]) -> None:
    node = FakeNode(variant)
    general = {OTHER_KEYS, NO_HARDWARE, FRESHNESS}
    assert general.intersection(node.verdict(BINDING).warnings) == warnings
    assert general.intersection(node.verdict(None).warnings) == warnings | {FRESHNESS}


def test_the_vendors_own_keys_are_no_surprise() -> None:
    node = FakeNode(Variant.QEMU_SNP)
    result = judge(node.evidence(BINDING), Policy.from_mapping(node.policy()), binding=BINDING, at=NOW)
    assert OTHER_KEYS not in result.warnings
    assert [mismatch.name for mismatch in result.mismatches] == ["snp.root"]
