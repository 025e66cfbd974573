# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What kind of file is this?"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import AttestationError
from constellation_cli.errors import CommandError
from constellation_cli.kind import Kind
from constellation_cli.recognise import recognise

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

TRUSTEE = "confidential-containers__trustee/deps/verifier/test_data"
RECORDED = {
    "derived/snp/oak_milan_oc_release/report.bin": Kind.SNP_REPORT,
    "google__go-sev-guest/verify/testdata/attestation.bin": Kind.SNP_REPORT,
    "virtee__sev/tests/certs_data/report_milan.hex": Kind.SNP_REPORT,
    f"{TRUSTEE}/snp/test-report.bin": Kind.SNP_REPORT,
    "derived/snp/oak_milan_oc_release/vek.der": Kind.CERTIFICATE,
    "google__go-sev-guest/verify/trust/ask_ark_genoa.pem": Kind.CERTIFICATE,
    "google__go-tpm-tools/server/ca-certs/gcp_ek_ak_ca_root.crt": Kind.CERTIFICATE,
    "google__go-tdx-guest/testing/testdata/rootcrl.der": Kind.CRL,
    "google__go-tdx-guest/testing/testdata/pckcrl": Kind.CRL,
    f"{TRUSTEE}/tdx_quote_4.dat": Kind.TDX_QUOTE,
    f"{TRUSTEE}/tdx_quote_5.dat": Kind.TDX_QUOTE,
    "google__go-tdx-guest/testing/testdata/tdx_prod_quote_SPR_E4.dat": Kind.TDX_QUOTE,
    "Phala-Network__dcap-qvl/sample/sgx_quote": Kind.SGX_QUOTE,
    f"{TRUSTEE}/az-snp-vtpm/hcl-report.bin": Kind.HCL_REPORT,
    f"{TRUSTEE}/az-tdx-vtpm/hcl-report.bin": Kind.HCL_REPORT,
    f"{TRUSTEE}/az-snp-vtpm/tpm-quote.msg": Kind.TPM_QUOTE,
    f"{TRUSTEE}/az-snp-vtpm/tpm-quote-v1.json": Kind.QUOTE_BUNDLE,
    "kinvolk__azure-cvm-tooling/az-cvm-vtpm/test/var-data.bin": Kind.RUNTIME_DATA,
    f"{TRUSTEE}/CCEL_data_ovmf": Kind.EVENT_LOG,
    "google__go-eventlog/testdata/legacydata/short_no_action_eventlog": Kind.EVENT_LOG,
    "google__go-tpm-tools/internal/test/eventlogs/arch-linux-workstation.bin": Kind.EVENT_LOG,
    "keylime__keylime/test/data/create-mb-policy/binary_bios_measurements": Kind.EVENT_LOG,
}


@pytest.mark.parametrize("path, kind", RECORDED.items(), ids=list(RECORDED))
def test_a_recorded_file(vectors: Path, path: str, kind: Kind) -> None:
    assert recognise((vectors / path).read_bytes(), "file").kind is kind


@pytest.mark.parametrize("path, kind", RECORDED.items(), ids=list(RECORDED))
def test_a_recorded_file_is_put_into_words(vectors: Path, path: str, kind: Kind) -> None:
    recognised = recognise((vectors / path).read_bytes(), "file")
    assert kind.describe(recognised.data)


REPORT = bytes.fromhex("02000000").ljust(0x34, b"\0") + b"\x01" + bytes(1184 - 0x35)


@pytest.mark.parametrize(
    "data, encoding",
    [
        (REPORT, "binary"),
        (REPORT.hex().encode(), "hex"),
        (b"0x" + REPORT.hex().encode(), "hex"),
        (REPORT.hex(" ", 32).replace(" ", "\n").encode(), "hex"),
        (base64.b64encode(REPORT), "base64"),
    ],
    ids=["binary", "hex", "hex with prefix", "hex in lines", "base64"],
)
def test_a_file_in_another_notation(data: bytes, encoding: str) -> None:
    recognised = recognise(data, "file")
    assert (recognised.kind, recognised.data, recognised.encoding) == (Kind.SNP_REPORT, REPORT, encoding)


@pytest.mark.parametrize(
    "data, kind",
    [
        (REPORT[:700], Kind.SNP_REPORT),
        (b"HCLA", Kind.HCL_REPORT),
        (bytes.fromhex("ff544347"), Kind.TPM_QUOTE),
        (bytes.fromhex("0006ff5443478017"), Kind.TPM_QUOTE),
        (bytes.fromhex("0023000b"), Kind.TPM_PUBLIC),
        (bytes.fromhex("00060023000b0000"), Kind.TPM_PUBLIC),
        (bytes.fromhex("0018000b"), Kind.TPM_SIGNATURE),
        (b'{"version":1,"variant":"insecure","platform":{}}', Kind.EVIDENCE),
        (b'{"measurements":{},"stub":"257"}', Kind.MEASUREMENTS),
        (b"# mine\nvariant: qemu-snp\n", Kind.POLICY),
        (b"  sha256:\n    0 : 0xABCD\n    10: 0x00\n", Kind.REGISTERS),
        (b'{"0": "00"}', Kind.REGISTERS),
    ],
    ids=lambda value: value.slug if isinstance(value, Kind) else None,
)
def test_the_beginning_is_enough(data: bytes, kind: Kind) -> None:
    assert recognise(data, "file").kind is kind


@pytest.mark.parametrize(
    "data, nearly",
    [
        (b"MZ\x90\0", "it is an executable; `constellation image predict` reads"),
        (b"CCEL8\0\0\0", "it is the ACPI table"),
        (b"-----BEGIN PRIVATE KEY-----\n", "neither a certificate nor a revocation list"),
        (b"hello\n", "of no kind that is known here"),
        (b'{"hello": "world"}', "of no kind that is known here"),
        (bytes(4096), "of no kind that is known here"),
    ],
)
def test_another_file_is_told_what_would_be_known(data: bytes, nearly: str) -> None:
    with pytest.raises(CommandError, match=nearly) as caught:
        recognise(data, "file")
    assert "SEV-SNP attestation report" in caught.value.hint


@given(st.binary(max_size=3000))
def test_any_bytes_are_recognised_or_refused(data: bytes) -> None:
    try:
        recognised = recognise(data, "file")
        recognised.kind.describe(recognised.data)
    except AttestationError:
        pass


PREFIXES = [
    b"HCLA",
    bytes.fromhex("ff5443478018"),
    bytes.fromhex("0023000b"),
    bytes.fromhex("0001000b"),
    bytes.fromhex("0018000b"),
    bytes.fromhex("040002008100000000000000939a7233f79c4ca9940a0db3957f0607"),
    bytes.fromhex("050002008100000000000000939a7233f79c4ca9940a0db3957f0607"),
    bytes.fromhex("03000200000000000000000000939a7233f79c4ca9940a0db3957f0607"),
    bytes.fromhex("308204f2308203f6a003020102020100"),
    bytes.fromhex("30820121 3081c8 020101 300a06082a8648ce3d040302"),
    bytes.fromhex("d28444a1013822a0"),
    bytes.fromhex("8d7530da63e6644564adc5f4b93be8accd"),
    bytes(4) + bytes.fromhex("03000000") + bytes(20) + bytes.fromhex("25000000") + b"Spec ID Event03\0",
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----BEGIN X509 CRL-----\n",
    b'{"version":1,"variant":"insecure","platform":',
    b"variant: ",
    b"sha256:\n  ",
    b'{"keys":[],"vm-configuration":',
    b'{"message":"","signature":"","pcrs":',
]


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda prefix: prefix[:12].hex())
@given(data=st.binary(max_size=600))
def test_any_bytes_behind_a_known_beginning_are_described_or_refused(prefix: bytes, data: bytes) -> None:
    try:
        recognised = recognise(prefix + data, "file")
        recognised.kind.describe(recognised.data)
    except AttestationError:
        pass


@pytest.mark.parametrize("path", list(RECORDED))
@given(random=st.randoms(use_true_random=False))
def test_a_damaged_recorded_file_is_described_or_refused(vectors: Path, path: str, random: Random) -> None:
    data = bytearray((vectors / path).read_bytes())
    for _ in range(random.randint(1, 4)):
        data[random.randrange(min(len(data), 4096))] ^= 1 << random.randrange(8)
    try:
        recognised = recognise(bytes(data[: random.choice((len(data), len(data) // 2))]), "file")
        recognised.kind.describe(recognised.data)
    except AttestationError:
        pass
