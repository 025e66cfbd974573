# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Reports of Azure's paravisor: real ones are read to the last byte, broken ones are refused."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from attestation.azure.hcl import HashType, ReportType, build_hcl, parse_hcl
from attestation.azure.runtime_data import MAX_SIZE, parse_runtime_data
from attestation.errors import MalformedError
from attestation.snp.report import parse_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KINVOLK = "kinvolk__azure-cvm-tooling/az-cvm-vtpm/test"
TRUSTEE = "confidential-containers__trustee/deps/verifier/test_data"
MODULUS = "qR7LqAABDczZDIJxh4Yu" + "A" * 321 + "Q"
KEY = {"kid": "HCLAkPub", "kty": "RSA", "e": "AQAB", "n": MODULUS}

BLOB = build_hcl(ReportType.SNP, bytes(range(256)) * 4 + bytes(160), b'{"keys":[]}')


@pytest.mark.parametrize(
    "path, version", [(f"{KINVOLK}/hcl-report-snp.bin", 1), (f"{TRUSTEE}/az-snp-vtpm/hcl-report.bin", 1)]
)
def test_a_real_snp_report_carries_the_hash_of_its_runtime_data(vectors: Path, path: str, version: int) -> None:
    hcl = parse_hcl((vectors / path).read_bytes())
    report = parse_report(hcl.snp_report)
    assert (hcl.version, hcl.hash_type, hcl.status) == (version, HashType.SHA256, 0)
    assert report.report_data == hashlib.sha256(hcl.runtime_data).digest() + bytes(32)
    assert not any(hcl.trailing)


def test_a_real_td_report_carries_the_hash_of_its_runtime_data(vectors: Path) -> None:
    hcl = parse_hcl((vectors / TRUSTEE / "az-tdx-vtpm/hcl-report.bin").read_bytes())
    assert (hcl.version, hcl.report_type) == (2, ReportType.TDX)
    assert hcl.td_report[128:160] == hashlib.sha256(hcl.runtime_data).digest()


def test_real_runtime_data_alone_is_read(vectors: Path) -> None:
    runtime = parse_runtime_data((vectors / KINVOLK / "var-data.bin").read_bytes())
    assert runtime.user_data == bytes(64)


@pytest.mark.parametrize("path", [f"{KINVOLK}/hcl-report-snp.bin", f"{TRUSTEE}/az-tdx-vtpm/hcl-report.bin"])
def test_real_runtime_data_names_a_key(vectors: Path, path: str) -> None:
    runtime = parse_runtime_data(parse_hcl((vectors / path).read_bytes()).runtime_data)
    assert runtime.attestation_key.key_size == 2048
    assert runtime.configuration["tpm-enabled"] is True


def test_what_is_written_is_read() -> None:
    hcl = parse_hcl(BLOB + bytes(100))
    assert hcl.snp_report[:256] == bytes(range(256))
    assert hcl.runtime_data == b'{"keys":[]}'
    assert hcl.trailing == bytes(100)
    assert hcl.report_size == len(BLOB)


def test_unknown_numbers_are_kept() -> None:
    blob = bytearray(BLOB)
    blob[4], blob[20], blob[1224], blob[1228] = 9, 7, 77, 88
    hcl = parse_hcl(bytes(blob))
    assert (hcl.version, hcl.reserved[0], hcl.report_type, hcl.hash_type) == (9, 7, 77, 88)


def test_the_other_hardware_is_refused_by_name() -> None:
    hcl = parse_hcl(BLOB)
    with pytest.raises(MalformedError, match=r"type 2, expected 4 \(TDX\)"):
        _ = hcl.td_report


@pytest.mark.parametrize("length", [*range(0, 1236, 103), len(BLOB) - 1])
def test_truncated_is_refused(length: int) -> None:
    with pytest.raises(MalformedError):
        parse_hcl(BLOB[:length])


def test_another_signature_is_refused() -> None:
    with pytest.raises(MalformedError, match="HCLA"):
        parse_hcl(b"XCLA" + BLOB[4:])


def test_a_size_that_contradicts_another_is_refused() -> None:
    blob = bytearray(BLOB)
    blob[1216] ^= 1
    with pytest.raises(MalformedError, match="runtime data"):
        parse_hcl(bytes(blob))


@pytest.mark.parametrize("parse", [parse_hcl, parse_runtime_data])
def test_a_mebibyte_is_refused_at_once(
    parse: Callable[[bytes], object], least_time: Callable[[Callable[[], object]], float]
) -> None:
    def refuse() -> None:
        with pytest.raises(MalformedError):
            parse(b"HCLA" * 262144)

    assert least_time(refuse) < 0.01


@given(st.binary(max_size=64), st.integers(0, len(BLOB)))
def test_spliced_garbage_gives_a_report_or_our_error(garbage: bytes, position: int) -> None:
    with suppress(MalformedError):
        parse_hcl(BLOB[:position] + garbage + BLOB[position + len(garbage) :])


def runtime(*keys: object, **claims: object) -> bytes:
    return json.dumps({"keys": list(keys), **claims}).encode()


def test_the_key_is_read() -> None:
    key = parse_runtime_data(runtime(KEY, {"kid": "HCLEkPub"})).attestation_key
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.public_numbers().e == 65537


def test_claims_that_are_not_known_are_skipped() -> None:
    data = parse_runtime_data(runtime(KEY, **{"new-claim": 1, "user-data": "00ff", "vm-configuration": {"a": 1}}))
    assert data.user_data == b"\x00\xff"
    assert data.configuration == {"a": 1}


BROKEN_RUNTIME_DATA = {
    "nothing": b"",
    "not_json": b"{",
    "not_utf8": b'{"keys":"\xff"}',
    "a_list": b"[]",
    "no_keys": b"{}",
    "keys_not_a_list": b'{"keys":{}}',
    "another_key_only": runtime({**KEY, "kid": "HCLEkPub"}),
    "two_attestation_keys": runtime(KEY, KEY),
    "elliptic_key": runtime({**KEY, "kty": "EC"}),
    "modulus_missing": runtime({"kid": "HCLAkPub", "kty": "RSA", "e": "AQAB"}),
    "modulus_a_number": runtime({**KEY, "n": 5}),
    "modulus_standard_base64": runtime({**KEY, "n": "+/" * 100}),
    "modulus_too_long": runtime({**KEY, "n": "A" * 1000}),
    "modulus_even": runtime({**KEY, "n": "AAAA"}),
    "exponent_1": runtime({**KEY, "e": "AQ"}),
    "a_key_twice": b'{"keys":[],"keys":[]}',
    "nested_too_deep": b'{"keys":' + b"[" * 100,
    "too_large": runtime(KEY, filler="x" * MAX_SIZE),
    "configuration_a_list": runtime(KEY, **{"vm-configuration": []}),
    "user_data_a_number": runtime(KEY, **{"user-data": 7}),
    "user_data_not_hex": runtime(KEY, **{"user-data": "xy"}),
    "number_of_5000_digits": b'{"keys":' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("data", BROKEN_RUNTIME_DATA.values(), ids=BROKEN_RUNTIME_DATA.keys())
def test_broken_runtime_data_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_runtime_data(data)


@given(st.binary(max_size=30), st.integers(0, 400))
def test_garbage_in_runtime_data_gives_data_or_our_error(garbage: bytes, position: int) -> None:
    data = runtime(KEY)
    with suppress(MalformedError):
        parse_runtime_data(data[:position] + garbage + data[position + len(garbage) :])
