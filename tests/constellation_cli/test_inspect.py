# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation evidence inspect`: every field by name, whatever is in the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from attestation.evidence import Evidence
from attestation.snp.product import Product
from attestation.snp.report import SigningKey
from attestation.testing.sev_guest import certificate_table
from attestation.testing.snp import FakeAmd
from attestation.testing.tpm import SoftwareTpm
from attestation.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

TRUSTEE = "confidential-containers__trustee/deps/verifier/test_data"


@pytest.fixture
def fields(constellation: Callable[..., Result]) -> Callable[[bytes], dict[str, Any]]:
    """Inspects bytes and gives their fields."""

    def inspect(data: bytes) -> dict[str, Any]:
        result = constellation("evidence", "inspect", "-o", "json", "-", stdin=data)
        assert result.exit_code == 0, result.stderr
        described: dict[str, Any] = json.loads(result.stdout)["files"][0]["fields"]
        return described

    return inspect


@pytest.fixture
def insecure(tmp_path: Path) -> Path:
    """The smallest evidence there is."""
    path = tmp_path / "evidence.json"
    path.write_bytes(Evidence(Variant.INSECURE, platform={"binding": bytes(32)}).to_json())
    return path


def test_a_table_names_each_field_in_a_line(constellation: Callable[..., Result], insecure: Path) -> None:
    assert constellation("evidence", "inspect", insecure).stdout == (
        f"{insecure}: Constellation evidence (JSON)\n"
        "variant                 insecure\n"
        "sha256                  cb58ef4d48570a237734a7f0ecd0e065d487de458335b845c464503bc5a34bd0\n"
        "platform.binding.bytes  32\n"
        "platform.binding.hex    0000000000000000000000000000000000000000000000000000000000000000\n"
    )


@pytest.mark.parametrize("output, load", [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_a_versioned_record(
    constellation: Callable[..., Result], insecure: Path, output: str, load: Callable[[str], Any]
) -> None:
    record = load(constellation("evidence", "inspect", "-o", output, insecure).stdout)
    assert record["version"] == 1
    (file,) = record["files"]
    assert (file["file"], file["kind"], file["encoding"]) == (str(insecure), "evidence", "text")
    assert file["fields"]["variant"] == "insecure"


def test_a_bad_file_does_not_stop_the_others(
    constellation: Callable[..., Result], insecure: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad").write_bytes(b"bad")
    result = constellation("evidence", "inspect", "-o", "json", tmp_path / "bad", tmp_path / "missing", insecure)
    assert result.exit_code == 1
    assert [file["kind"] for file in json.loads(result.stdout)["files"]] == ["evidence"]
    assert f"{tmp_path / 'bad'} is of no kind that is known here" in result.stderr
    assert f"{tmp_path / 'missing'} cannot be read" in result.stderr


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "stdin is empty"),
        (b"a" * (8 * 1024 * 1024 + 1), "stdin has more than 8388608 bytes"),
        (b'{"version":1,"variant":"insecure","platform":{"bin', "stdin: not JSON: Unterminated string"),
        (b'{"version":1,"version":1}', "stdin: not JSON: key 'version' appears twice"),
        (b'{"version":1,"variant":"qemu","platform":{"a":""}}', "stdin: evidence: unknown variant 'qemu'"),
    ],
    ids=["empty", "too large", "truncated", "repeated key", "unknown variant"],
)
def test_a_bad_file_gets_one_sentence(constellation: Callable[..., Result], data: bytes, reason: str) -> None:
    result = constellation("evidence", "inspect", "-", stdin=data)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {reason}")
    assert result.stderr.count("\n") <= 2


@pytest.mark.parametrize("product", Product)
def test_an_snp_report_shows_the_tcb_of_its_product(
    fields: Callable[[bytes], dict[str, Any]], product: Product
) -> None:
    machine = FakeAmd().machine(product)
    shown = fields(machine.report())
    assert shown["product"] == product
    assert {name: shown["tcb"]["reported"][name] for name in machine.tcb} == machine.tcb


def test_an_snp_report_of_version_2_shows_a_raw_tcb(fields: Callable[[bytes], dict[str, Any]], vectors: Path) -> None:
    shown = fields((vectors / "google__go-sev-guest/verify/testdata/attestation.bin").read_bytes())
    assert shown["product"] == "named by the certificate only"
    assert shown["tcb"]["reported"] == {"raw": "0200000000000544"}
    assert shown["policy"] == {"value": "0xb0000", "set": ["smt", "reserved_one", "debug"], "abi": "0.0"}


def test_unknown_bits_are_shown(fields: Callable[[bytes], dict[str, Any]]) -> None:
    report = bytearray(FakeAmd().machine(Product.MILAN).report())
    report[0x0F] = 0x80  # bit 63 of the policy
    report[0x46] = 0x01  # bit 48 of PLATFORM_INFO
    report[0x210] = 0xAB
    shown = fields(bytes(report))
    assert shown["policy"]["unknown_bits"] == "0x8000000000000000"
    assert shown["platform_info"]["unknown_bits"] == "0x1000000000000"
    assert any(part.startswith("reserved 0x208") for part in shown["unknown"])


def test_a_truncated_report_says_how_much_is_missing(constellation: Callable[..., Result]) -> None:
    result = constellation("evidence", "inspect", "-", stdin=FakeAmd().machine(Product.MILAN).report()[:1000])
    assert result.exit_code == 1
    assert "stdin: SNP report has 1000 bytes, expected 1184" in result.stderr


@pytest.mark.parametrize("kind", [SigningKey.VCEK, SigningKey.VLEK])
def test_a_certificate_shows_what_amd_put_into_it(fields: Callable[[bytes], dict[str, Any]], kind: SigningKey) -> None:
    machine = FakeAmd().machine(Product.GENOA, signing_key=kind)
    amd = fields(machine.certificate())["amd"]
    assert amd["product"].startswith("Genoa")
    assert {name: amd[name] for name in machine.tcb} == machine.tcb
    assert ("chip_id" in amd, "csp_id" in amd) == (kind is SigningKey.VCEK, kind is SigningKey.VLEK)


def test_a_certificate_table_shows_what_is_in_it(fields: Callable[[bytes], dict[str, Any]]) -> None:
    entries = fields(certificate_table(FakeAmd().machine(Product.MILAN)))["entries"]
    assert {entry["kind"] for entry in entries} >= {"VCEK", "ASK", "ARK"}
    assert all("subject" in entry for entry in entries)


def test_a_pinned_root_is_marked(fields: Callable[[bytes], dict[str, Any]], vectors: Path) -> None:
    chain = fields((vectors / "google__go-sev-guest/verify/trust/ask_ark_milan.pem").read_bytes())
    assert [entry["pinned_root"] for entry in chain["certificates"]] == [False, True]


def test_a_tdx_quote_shows_its_platform(fields: Callable[[bytes], dict[str, Any]], vectors: Path) -> None:
    quote = fields((vectors / TRUSTEE / "tdx_quote_5.dat").read_bytes())
    assert (quote["version"], quote["body"]) == (5, "TD_1_5")
    assert quote["report"]["td_attributes"]["set"] == ["sept_ve_disable"]
    assert quote["certificates"][0]["intel_platform"]["fmspc"] == "90c06f000000"


def test_an_sgx_quote_is_named_and_not_supported(fields: Callable[[bytes], dict[str, Any]], vectors: Path) -> None:
    quote = fields((vectors / "Phala-Network__dcap-qvl/sample/sgx_quote").read_bytes())
    assert quote == {"version": 3, "attestation_key_type": 2, "supported": False}


def test_an_hcl_report_shows_the_report_inside(fields: Callable[[bytes], dict[str, Any]], vectors: Path) -> None:
    hcl = fields((vectors / TRUSTEE / "az-snp-vtpm/hcl-report.bin").read_bytes())
    assert hcl["hardware"] == "SNP"
    assert hcl["report"]["report_data"] == hcl["runtime_data"]["sha256"].ljust(128, "0")


def test_a_log_shows_its_events_and_the_registers_that_follow(
    constellation: Callable[..., Result], vectors: Path
) -> None:
    folder = vectors / "derived/qemu_ovmf_uki"
    result = constellation("evidence", "inspect", folder / "eventlog_stub257.bin")
    booted = json.loads((folder / "pcrs_stub257.json").read_text(encoding="utf-8"))["pcr_sha256"]
    assert "registers.sha256.4" in result.stdout
    assert booted["4"] in result.stdout
    assert "Calling EFI Application from Boot Option" in result.stdout


def test_a_tpm_quote_and_its_key_are_shown(fields: Callable[[bytes], dict[str, Any]]) -> None:
    tpm = SoftwareTpm()
    quote = fields(tpm.quote(bytes(range(32))).attest)
    key = fields(tpm.ak_public)
    assert quote["extra_data"] == bytes(range(32)).hex()
    assert quote["registers"] == {"sha256": list(range(24))}
    assert key["type"] == "ECC of 256 bits"
    assert {"restricted", "sign", "fixed_tpm"} <= set(key["attributes"]["set"])


def test_evidence_shows_all_its_parts(fields: Callable[[bytes], dict[str, Any]]) -> None:
    machine, tpm = FakeAmd().machine(Product.MILAN), SoftwareTpm()
    evidence = Evidence(
        Variant.AWS_SEV_SNP, snp=machine.evidence(), tpm=tpm.evidence(bytes(32)), platform={"note": b"hello"}
    )
    shown = fields(evidence.to_json())
    assert shown["snp"]["report"]["product"] == "Milan"
    assert shown["snp"]["certificates"][0]["subject"].startswith("CN=SEV-VCEK")
    assert shown["tpm"]["quote"]["made_by_tpm"] is True
    assert shown["platform"]["note"] == {"bytes": 5, "hex": b"hello".hex()}


def test_a_broken_part_of_evidence_says_so_in_its_place(fields: Callable[[bytes], dict[str, Any]]) -> None:
    evidence = FakeAmd().machine(Product.MILAN).evidence()
    broken = Evidence(Variant.QEMU_SNP, snp=type(evidence)(evidence.report[:-1], evidence.certificates))
    shown = fields(broken.to_json())["snp"]
    assert shown["report"] == {"error": "SNP report has 1183 bytes, expected 1184", "bytes": 1183}
    assert "subject" in shown["certificates"][0]
