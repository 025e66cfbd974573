# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded evidence of real Azure machines gets the right answer."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from attestation import Evidence, Mark, Policy, SnpEvidence, TdxEvidence, TpmEvidence, Variant, judge
from attestation.azure.hcl import parse_hcl
from attestation.azure.runtime_data import parse_runtime_data
from attestation.errors import NotGenuineError
from attestation.policy_fields import FIELDS
from attestation.snp.certificate import split_pem
from attestation.snp.report import parse_report
from attestation.tdx.quote import parse_quote as parse_td_quote
from attestation.tpm.attestation_key import AttestationKey
from attestation.tpm.quote import parse_quote
from attestation.tpm.signature import rsassa_signature
from attestation.tpm.verify import verify_quote

if TYPE_CHECKING:
    from pathlib import Path

    from attestation.verdict import Verdict

AT = datetime(2026, 1, 1, tzinfo=UTC)
TRUSTEE = "confidential-containers__trustee/deps/verifier/test_data"
SNP_CHAINS = ["evidence-v0.json", "evidence-v1.json", "evidence-v2.json"]


def base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def tpm_part(message: bytes, signature: bytes, pcrs: list[bytes]) -> TpmEvidence:
    return TpmEvidence(message, rsassa_signature(signature), dict(enumerate(pcrs)))


def recorded_quote(record: dict[str, Any]) -> TpmEvidence:
    return tpm_part(
        bytes.fromhex(record["message"]), bytes.fromhex(record["signature"]), list(map(bytes.fromhex, record["pcrs"]))
    )


def recorded(vectors: Path, name: str) -> Evidence:
    record = json.loads((vectors / TRUSTEE / "az-snp-vtpm" / name).read_text())
    if "version" in record:
        hcl, tpm = parse_hcl(base64url(record["hcl_report"])), recorded_quote(record["tpm_quote"])
        vcek = base64url(record["vcek"])
    else:
        quote = record["quote"]
        hcl, vcek = parse_hcl(bytes(record["report"])), split_pem(record["vcek"].encode())[0]
        tpm = tpm_part(bytes(quote["message"]), bytes(quote["signature"]), list(map(bytes, quote["pcrs"])))
    return Evidence(
        Variant.AZURE_SEV_SNP,
        tpm=tpm,
        snp=SnpEvidence(hcl.snp_report, (vcek,)),
        platform={"runtime_data": hcl.runtime_data},
    )


def policy_for(evidence: Evidence, **fields: object) -> Policy:
    assert evidence.tpm is not None
    assert evidence.snp is not None
    report = parse_report(evidence.snp.report)
    assert report.product is not None
    return Policy.from_mapping(
        {
            "variant": "azure-sev-snp",
            "measurements": {"4": {"expected": evidence.tpm.pcrs[4].hex(), "enforced": True}},
            "minimum_tcb": report.product.tcb(report.reported_tcb),
            "id_key_digests": [report.id_key_digest.hex()],
            "allow_smt": True,
            "crl": "off",
            **fields,
        },
    )


def judged(evidence: Evidence, policy: Policy, binding: bytes | None = None) -> Verdict:
    return judge(evidence, policy, binding=binding, at=AT, mark=Mark.ANY)


@pytest.mark.parametrize("name", SNP_CHAINS)
def test_a_whole_chain_is_accepted(vectors: Path, name: str) -> None:
    evidence = recorded(vectors, name)
    verdict = judged(evidence, policy_for(evidence))
    assert verdict.mismatches == ()
    assert verdict.genuine
    assert verdict.vouchers[0] == "AMD ARK-Milan"
    assert verdict.vouchers[-1] == "Azure paravisor"


@pytest.mark.parametrize("name", SNP_CHAINS)
def test_a_whole_chain_survives_its_json(vectors: Path, name: str) -> None:
    evidence = recorded(vectors, name)
    again = Evidence.from_json(evidence.to_json())
    assert again == evidence
    assert judged(again, policy_for(evidence)).accepted


@pytest.mark.parametrize("name", SNP_CHAINS)
def test_another_challenge_is_refused(vectors: Path, name: str) -> None:
    evidence = recorded(vectors, name)
    verdict = judged(evidence, policy_for(evidence), binding=bytes(32))
    assert [mismatch.name for mismatch in verdict.mismatches] == ["tpm.binding"]


def test_the_recorded_challenge_is_the_one_that_was_asked(vectors: Path) -> None:
    evidence = recorded(vectors, "evidence-v1.json")
    assert evidence.tpm is not None
    tpm, key = evidence.tpm, AttestationKey(parse_runtime_data(evidence.platform["runtime_data"]).attestation_key)
    verified = verify_quote(key, tpm.attest, tpm.signature, tpm.pcrs, binding=b"challenge", vouchers=("Azure",))
    assert verified.bound
    with pytest.raises(NotGenuineError, match=r"tpm\.binding"):
        verify_quote(key, tpm.attest, tpm.signature, tpm.pcrs, binding=b"Challenge", vouchers=("Azure",))


def test_parts_of_two_machines_are_refused(vectors: Path) -> None:
    one, two = recorded(vectors, "evidence-v1.json"), recorded(vectors, "evidence-v2.json")
    for mixed in (replace(one, tpm=two.tpm), replace(one, snp=two.snp), replace(one, platform=two.platform)):
        verdict = judged(mixed, policy_for(one))
        assert not verdict.accepted
        assert not verdict.genuine


def test_a_changed_claim_of_the_runtime_data_is_refused(vectors: Path) -> None:
    evidence = recorded(vectors, "evidence-v1.json")
    runtime_data = evidence.platform["runtime_data"].replace(b'"secure-boot":true', b'"secure-boot":null')
    verdict = judged(replace(evidence, platform={"runtime_data": runtime_data}), policy_for(evidence))
    assert [mismatch.name for mismatch in verdict.mismatches] == ["binding"]
    assert not verdict.genuine


def test_another_paravisor_is_refused(vectors: Path) -> None:
    evidence = recorded(vectors, "evidence-v1.json")
    verdict = judged(evidence, policy_for(evidence, id_key_digests=["00" * 48]))
    assert [mismatch.name for mismatch in verdict.mismatches] == ["id_key_digests"]


def test_an_expired_chain_is_refused(vectors: Path) -> None:
    evidence = recorded(vectors, "evidence-v1.json")
    late = datetime(2046, 1, 1, tzinfo=UTC)
    verdict = judge(evidence, policy_for(evidence), binding=None, at=late, mark=Mark.ANY)
    assert verdict.mismatches[0].name == "snp.validity"


def test_a_real_td_quote_carries_the_hash_of_its_runtime_data(vectors: Path) -> None:
    hcl = parse_hcl((vectors / TRUSTEE / "az-tdx-vtpm/hcl-report.bin").read_bytes())
    quote = parse_td_quote((vectors / TRUSTEE / "az-tdx-vtpm/td-quote.bin").read_bytes())
    assert quote.report.report_data == hashlib.sha256(hcl.runtime_data).digest() + bytes(32)


def recorded_tdx(vectors: Path) -> Evidence:
    folder = vectors / TRUSTEE / "az-tdx-vtpm"
    return Evidence(
        Variant.AZURE_TDX,
        tpm=recorded_quote(json.loads((folder / "tpm-quote-v1.json").read_text())),
        tdx=TdxEvidence((folder / "td-quote.bin").read_bytes()),
        platform={"runtime_data": parse_hcl((folder / "hcl-report.bin").read_bytes()).runtime_data},
    )


def tdx_policy(evidence: Evidence) -> Policy:
    assert evidence.tpm is not None
    assert evidence.tdx is not None
    fields = {
        "variant": "azure-tdx",
        "measurements": {"4": {"expected": evidence.tpm.pcrs[4].hex(), "enforced": True}},
        "minimum_tcb": {"module": 1, "microcode": 0, "pce": 0, "qe": 0},
        "crl": "off",
    }
    if Variant.AZURE_TDX in FIELDS["launch_digests"].variants:
        fields["launch_digests"] = [parse_td_quote(evidence.tdx.quote).report.mr_td.hex()]
    return Policy.from_mapping(fields)


def test_a_whole_chain_of_tdx_gets_the_right_answer(vectors: Path) -> None:
    evidence = recorded_tdx(vectors)
    verdict = judged(evidence, tdx_policy(evidence))
    assert verdict.mismatches == ()


@pytest.mark.parametrize("name", ["az-snp-vtpm", "az-tdx-vtpm"])
def test_a_quote_of_24_registers_is_read(vectors: Path, name: str) -> None:
    record = json.loads((vectors / TRUSTEE / name / "tpm-quote-v1.json").read_text())
    assert parse_quote(bytes.fromhex(record["message"])).selections[0].registers == tuple(range(24))
