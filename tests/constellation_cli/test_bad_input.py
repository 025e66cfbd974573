# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Bad input of `evidence verify`: one clear sentence, and a hint what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from attestation.evidence import Evidence
from attestation.snp.product import Product
from attestation.testing.snp import FakeAmd
from attestation.testing.tpm import SoftwareTpm
from attestation.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

DIGEST = "00" * 48
GOOD: dict[str, Any] = {
    "variant": "qemu-snp",
    "launch_digests": [DIGEST],
    "minimum_tcb": {"bootloader": 0, "tee": 0, "snp": 0, "microcode": 0},
    "crl": "off",
}


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[Path]]:
    """Writes files with these names and contents."""

    def write(**contents: bytes) -> list[Path]:
        paths = [tmp_path / name for name in contents]
        for path, content in zip(paths, contents.values(), strict=True):
            path.write_bytes(content)
        return paths

    return write


@pytest.fixture
def refusal(constellation: Callable[..., Result]) -> Callable[..., list[str]]:
    """Verifies, expects status 1 without a verdict, and gives the lines of the error and the hint."""

    def run(*words: object) -> list[str]:
        result = constellation("evidence", "verify", *words)
        assert (result.exit_code, result.stdout) == (1, "")
        error, hint = result.stderr.splitlines()
        assert error.startswith("error: ")
        assert hint.startswith("hint: ")
        return [error.removeprefix("error: "), hint.removeprefix("hint: ")]

    return run


@pytest.mark.parametrize(
    "fields, sentence, hint",
    [
        ({"launch_digest": [DIGEST]}, "policy has the unknown field 'launch_digest'", "did you mean launch_digests?"),
        ({"variant": "qemu-sno"}, "policy names the unknown variant 'qemu-sno'", "did you mean qemu-snp?"),
        (
            {"launch_digests": ["00"]},
            "policy field launch_digests: expected 96 hexadecimal digits, got 2",
            "policy schema",
        ),
        ({"measurements": {}}, "policy field measurements has no effect on qemu-snp", "remove it"),
        ({"minimum_tcb": None}, "policy field minimum_tcb: expected a mapping", "policy schema"),
        ({"crl": "required"}, "policy for qemu-snp requires revocation lists", "put the vendor's lists"),
    ],
    ids=["typo in a field", "typo in the variant", "wrong length", "without effect", "wrong type", "no list"],
)
def test_a_policy_that_cannot_be_used(
    constellation: Callable[..., Result],
    policy_file: Callable[..., Path],
    fields: dict[str, Any],
    sentence: str,
    hint: str,
) -> None:
    policy = policy_file(**{**GOOD, **fields})
    result = constellation("evidence", "verify", "--policy", policy, "report.bin")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {policy}: {sentence}")
    assert hint in result.stderr


@pytest.mark.parametrize(
    "text, sentence",
    [
        (b"variant: qemu-snp\nvariant: insecure\n", "not YAML: key 'variant' appears twice"),
        (b'{"variant": "qemu-snp", "variant": "insecure"}', "not JSON: key 'variant' appears twice"),
        (b"variant: [qemu-snp\n", "not YAML: "),
        (b"- variant\n", "neither JSON nor YAML with names and values"),
        (b"\xff\xfe\x00", "neither JSON nor YAML: the bytes are no text"),
        (b"a: &a [x]\nb: *a\n", "YAML with an alias or a tag"),
        (b"a: !!python/object:os.system x\n", "YAML with an alias or a tag"),
        (b"a: " + b"[" * 100, "YAML is nested deeper than 16"),
        (b"x" * (2 * 1024 * 1024), "2097152 bytes of JSON or YAML, at most 1048576 are read"),
    ],
    ids=["repeated", "repeated in JSON", "broken", "list", "no text", "alias", "tag", "deep", "large"],
)
def test_a_file_that_is_no_policy(
    refusal: Callable[..., list[str]], files: Callable[..., list[Path]], text: bytes, sentence: str
) -> None:
    (path,) = files(policy=text)
    error, hint = refusal("--policy", path, "report.bin")
    assert error.startswith(f"{path}: {sentence}")
    assert hint == "a policy is JSON or YAML"


@pytest.fixture
def policy(policy_file: Callable[..., Path]) -> Path:
    """A policy for `qemu-snp` that accepts nothing real."""
    return policy_file(**GOOD)


MACHINE = FakeAmd().machine(Product.MILAN)


def test_a_missing_certificate_is_named_with_its_address(
    refusal: Callable[..., list[str]], files: Callable[..., list[Path]], policy: Path
) -> None:
    error, hint = refusal("--policy", policy, *files(report=MACHINE.report()))
    assert error == "no certificate of the key that signed the SNP report (VCEK or VLEK) is here"
    assert hint.startswith(f"curl -o vcek.der 'https://kdsintf.amd.com/vcek/v1/Milan/{MACHINE.chip_id.hex()}?blSPL=4&")


def test_a_missing_report_is_named(
    refusal: Callable[..., list[str]], files: Callable[..., list[Path]], policy: Path
) -> None:
    error, hint = refusal("--policy", policy, *files(vcek=MACHINE.certificate()))
    assert error == "evidence of variant qemu-snp needs a file of kind snp-report, and none is here"
    assert hint.startswith("add the SEV-SNP attestation report")


def test_a_truncated_evidence_file(
    refusal: Callable[..., list[str]], files: Callable[..., list[Path]], policy: Path
) -> None:
    (path,) = files(evidence=Evidence(Variant.QEMU_SNP, snp=MACHINE.evidence()).to_json()[:200])
    error, _ = refusal("--policy", policy, path)
    assert error.startswith(f"{path}: not JSON: ")


def test_evidence_of_another_variant(
    refusal: Callable[..., list[str]], files: Callable[..., list[Path]], policy: Path
) -> None:
    evidence = Evidence(Variant.INSECURE, platform={"binding": bytes(32)}).to_json()
    error, hint = refusal("--policy", policy, *files(evidence=evidence))
    assert error == "evidence is of variant insecure, the policy is for qemu-snp"
    assert hint == "judge each variant by a policy of its own"


def test_a_policy_for_another_variant_than_asked(refusal: Callable[..., list[str]], policy: Path) -> None:
    error, _ = refusal("--policy", policy, "--variant", "azure-tdx", "report.bin")
    assert error == f"{policy}: policy is for qemu-snp, asked was azure-tdx"


def test_a_part_that_has_no_place(
    refusal: Callable[..., list[str]], files: Callable[..., list[Path]], policy: Path
) -> None:
    quote = SoftwareTpm().quote(bytes(32)).attest
    paths = files(report=MACHINE.report(), vcek=MACHINE.certificate(), quote=quote)
    error, _ = refusal("--policy", policy, *paths)
    assert error == f"{paths[2]} is of kind tpm-quote, which has no place in evidence of variant qemu-snp"


def test_two_parts_of_the_same_kind(
    refusal: Callable[..., list[str]], files: Callable[..., list[Path]], policy: Path
) -> None:
    paths = files(one=MACHINE.report(), two=MACHINE.report())
    error, _ = refusal("--policy", policy, *paths)
    assert error == f"{paths[0]} and {paths[1]} are both of kind snp-report"


def test_evidence_beside_a_part(
    refusal: Callable[..., list[str]], files: Callable[..., list[Path]], policy: Path
) -> None:
    evidence = Evidence(Variant.QEMU_SNP, snp=MACHINE.evidence()).to_json()
    error, _ = refusal("--policy", policy, *files(evidence=evidence, vcek=MACHINE.certificate()))
    assert error == "evidence is complete in one file: nothing can be added to it"


def test_a_certificate_that_has_no_place(
    refusal: Callable[..., list[str]], files: Callable[..., list[Path]], policy: Path, vectors: Path
) -> None:
    other = vectors / "google__go-tdx-guest/verify/trusted_root.pem"
    error, _ = refusal("--policy", policy, *files(report=MACHINE.report(), vcek=MACHINE.certificate()), other)
    assert error == "1 of the certificates have no place in evidence of variant qemu-snp"
