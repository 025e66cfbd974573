# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation evidence verify`: accepted is 0, not accepted is 2, and every reason is listed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from attestation.evidence import Evidence, SnpEvidence
from attestation.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

BINDING = bytes(range(32))
MILAN = "derived/snp/oak_milan_oc_release"
AT = "2026-01-31T12:00:00Z"
POLICY: dict[str, Any] = {
    "variant": "qemu-snp",
    "launch_digests": [
        "195b01b74976a1faba13bd85eaf787958f0a46e6dddd45c5bdbf8673522777842b8057ae5d866b75416efb62012deaa3"
    ],
    "minimum_tcb": {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219},
    "allow_smt": True,
    "crl": "off",
}


@pytest.fixture
def insecure(tmp_path: Path) -> Path:
    """Evidence that anybody can issue, bound to `BINDING`."""
    path = tmp_path / "evidence.json"
    path.write_bytes(Evidence(Variant.INSECURE, platform={"binding": BINDING}).to_json())
    return path


@pytest.fixture
def verify(constellation: Callable[..., Result], policy_file: Callable[..., Path]) -> Callable[..., Result]:
    """Judges files by the policy above, less or more some fields."""

    def run(*words: object, **fields: object) -> Result:
        policy = policy_file(**{name: value for name, value in {**POLICY, **fields}.items() if value is not None})
        return constellation("evidence", "verify", "--policy", policy, *words)

    return run


def test_accepted_is_status_0(
    constellation: Callable[..., Result], policy_file: Callable[..., Path], insecure: Path
) -> None:
    policy = policy_file(variant="insecure")
    words = ("--policy", policy, "--binding", BINDING.hex(), "--at", AT, insecure)
    result = constellation("evidence", "verify", *words)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "accepted: evidence of variant insecure\n"
        "genuine         no\n"
        "vouched for by  nobody\n"
        "hardware root   none\n"
        "identity        none\n"
        f"judged as of    {AT}\n"
        "\n"
        "warnings\n"
        "insecure: nobody vouches for this evidence\n"
        "no hardware root: whoever controls the host can forge this evidence\n"
    )


def test_not_accepted_is_status_2_and_lists_the_reason(
    constellation: Callable[..., Result], policy_file: Callable[..., Path], insecure: Path
) -> None:
    words = ("--policy", policy_file(variant="insecure"), "--binding", bytes(32).hex(), insecure)
    result = constellation("evidence", "verify", *words)
    assert result.exit_code == 2
    assert result.stdout.startswith("NOT ACCEPTED: evidence of variant insecure\n")
    assert f"binding  {bytes(32).hex()}  {BINDING.hex()}\n" in result.stdout
    assert "hint: `constellation evidence inspect` shows" in result.stderr


def test_a_statement_is_bound_to_nonce_and_cluster(
    constellation: Callable[..., Result], policy_file: Callable[..., Path], tmp_path: Path
) -> None:
    nonce, cluster_id = b"\1" * 32, b"\2" * 32
    binding = hashlib.sha256(b"constellation-verify/1" + nonce + cluster_id).digest()
    statement = tmp_path / "statement.json"
    statement.write_bytes(Evidence(Variant.INSECURE, platform={"binding": binding}).to_json())
    words = ("--policy", policy_file(variant="insecure"), "--cluster-id", cluster_id.hex())
    assert constellation("evidence", "verify", *words, "--nonce", nonce.hex(), statement).exit_code == 0
    assert constellation("evidence", "verify", *words, "--nonce", cluster_id.hex(), statement).exit_code == 2


def test_without_a_binding_the_verdict_warns(
    constellation: Callable[..., Result], policy_file: Callable[..., Path], insecure: Path
) -> None:
    result = constellation("evidence", "verify", "--policy", policy_file(variant="insecure"), insecure)
    assert result.exit_code == 0
    assert "freshness was not checked" in result.stdout


def test_a_real_report_and_its_certificate_are_accepted(verify: Callable[..., Result], vectors: Path) -> None:
    result = verify("--at", AT, "-o", "json", vectors / MILAN / "vek.der", vectors / MILAN / "report.bin")
    verdict = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (verdict["version"], verdict["genuine"], verdict["hardware_root"]) == (1, True, "CPU")
    assert verdict["vouchers"][0] == "AMD ARK-Milan"


def test_the_same_as_evidence_in_one_file_is_accepted(
    verify: Callable[..., Result], vectors: Path, tmp_path: Path
) -> None:
    folder = vectors / MILAN
    snp = SnpEvidence((folder / "report.bin").read_bytes(), ((folder / "vek.der").read_bytes(),))
    (tmp_path / "snp.json").write_bytes(Evidence(Variant.QEMU_SNP, snp=snp).to_json())
    assert verify("--at", AT, "--variant", "qemu-snp", tmp_path / "snp.json").exit_code == 0


def test_the_chain_may_lie_beside_in_any_order(verify: Callable[..., Result], vectors: Path) -> None:
    chain = vectors / "google__go-sev-guest/verify/trust/ask_ark_milan.pem"
    assert verify("--at", AT, chain, vectors / MILAN / "report.bin", vectors / MILAN / "vek.der").exit_code == 0


@pytest.mark.parametrize(
    "fields, reason",
    [
        ({"launch_digests": ["00" * 48]}, "launch_digests"),
        ({"minimum_tcb": {"bootloader": 5, "tee": 0, "snp": 25, "microcode": 219}}, "minimum_tcb.bootloader"),
        ({"allow_smt": False}, "allow_smt"),
        ({"products": ["Genoa"]}, "products"),
        ({"crl": "required", "revocation_lists": ["AAAA"]}, "format"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_policy_refuses_is_named(
    verify: Callable[..., Result], vectors: Path, fields: dict[str, Any], reason: str
) -> None:
    result = verify("--at", AT, "-o", "json", vectors / MILAN / "report.bin", vectors / MILAN / "vek.der", **fields)
    assert result.exit_code == 2
    assert reason in {mismatch["name"] for mismatch in json.loads(result.stdout)["mismatches"]}


def test_every_reason_is_listed_at_once(verify: Callable[..., Result], vectors: Path) -> None:
    folder = vectors / "google__go-sev-guest/verify/testdata"  # an old report of a guest that may be debugged
    result = verify("--at", AT, "-o", "json", folder / "attestation.bin", folder / "vcek.testcer", allow_smt=None)
    assert result.exit_code == 2
    names = {mismatch["name"] for mismatch in json.loads(result.stdout)["mismatches"]}
    assert names >= {"allow_report_v2", "allow_debug", "allow_smt", "launch_digests", "minimum_tcb.snp"}


@pytest.mark.parametrize(
    "at, validity",
    [
        ("2040-01-01T00:00:00Z", "SEV-VCEK valid at 2040-01-01T00:00:00Z  valid from 2025-01-15 to 2032-01-15"),
        ("2025-01-01T00:00:00+02:00", "SEV-VCEK valid at 2024-12-31T22:00:00Z  valid from 2025-01-15 to 2032-01-15"),
    ],
    ids=["expired", "not yet valid"],
)
def test_a_chain_outside_its_time_is_refused(
    verify: Callable[..., Result], vectors: Path, at: str, validity: str
) -> None:
    result = verify("--at", at, vectors / MILAN / "report.bin", vectors / MILAN / "vek.der")
    assert result.exit_code == 2
    assert f"snp.validity  {validity}\n" in result.stdout


def test_another_chips_certificate_is_refused(verify: Callable[..., Result], vectors: Path) -> None:
    other = vectors / "derived/snp/virtee_milan_v2/vek.der"
    result = verify("--at", AT, vectors / MILAN / "report.bin", other)
    assert result.exit_code == 2
    assert "snp.signature" in result.stdout


def test_azure_evidence_is_judged_from_its_parts(
    constellation: Callable[..., Result], policy_file: Callable[..., Path], vectors: Path
) -> None:
    folder = vectors / "confidential-containers__trustee/deps/verifier/test_data/az-snp-vtpm"
    policy = policy_file(
        variant="azure-sev-snp",
        launch_digests=[
            "9ac48fcac8a2d88aeeff8d427ad4f2be0e3917c748a18bdf52cc317e7fe20308b459d5ef1a12e0c22944eb386d17c315"
        ],
        minimum_tcb={"bootloader": 3, "tee": 0, "snp": 8, "microcode": 115},
        measurements={
            "4": {"expected": "1d3b1cb141906329dd8ab09584214a88dffaf839ed14c8ef677a6bcf6ea27a02", "enforced": True}
        },
        allow_report_v2=True,
        allow_smt=True,
        crl="off",
    )
    parts = [folder / name for name in ("tpm-quote-v1.json", "vcek.pem", "hcl-report.bin")]
    result = constellation("evidence", "verify", "--policy", policy, "--at", AT, *parts)
    assert result.exit_code == 0, result.stdout
    assert "→ Azure paravisor" in result.stdout
