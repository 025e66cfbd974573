# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""PE executables: what firmware hashes, and which files are refused."""

from __future__ import annotations

import hashlib
import re
import shutil
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from attestation.errors import MalformedError, PredictionError
from attestation.measured_boot.pe import MAX_ZERO_FILL, parse_executable
from attestation.testing.uki import add_certificates, add_sections, build_executable

if TYPE_CHECKING:
    from pathlib import Path

# Offsets in what build_executable makes.
PE = 0x80
OPTIONAL = PE + 24
SECTION_TABLE = OPTIONAL + 240
HEADERS_SIZE = 4096

PLAIN = build_executable({".text": b"\xc3", ".data": b"data"})


def patched(offset: int, layout: str, *values: object) -> bytes:
    """Give `PLAIN` with other values at an offset."""
    image = bytearray(PLAIN)
    struct.pack_into(layout, image, offset, *values)
    return bytes(image)


def test_digest_leaves_out_checksum_and_pointer_to_the_certificates() -> None:
    checksum, pointer = OPTIONAL + 64, OPTIONAL + 144
    expected = hashlib.sha256(PLAIN[:checksum] + PLAIN[checksum + 4 : pointer] + PLAIN[pointer + 8 :]).digest()
    assert parse_executable(PLAIN).authenticode() == expected


def test_digest_goes_through_the_sections_in_the_order_of_the_file() -> None:
    image = bytearray(PLAIN)
    first, second = image[SECTION_TABLE : SECTION_TABLE + 40], image[SECTION_TABLE + 40 : SECTION_TABLE + 80]
    image[SECTION_TABLE : SECTION_TABLE + 80] = second + first
    headers = bytes(image[:HEADERS_SIZE])
    checksum, pointer = OPTIONAL + 64, OPTIONAL + 144
    hashed = headers[:checksum] + headers[checksum + 4 : pointer] + headers[pointer + 8 :] + PLAIN[HEADERS_SIZE:]
    assert parse_executable(image).authenticode() == hashlib.sha256(hashed).digest()


def test_digest_without_an_entry_for_certificates_covers_all_headers_but_the_checksum() -> None:
    image = patched(OPTIONAL + 108, "<I", 4)
    hashed = image[: OPTIONAL + 64] + image[OPTIONAL + 68 :]
    assert parse_executable(image).authenticode() == hashlib.sha256(hashed).digest()


def test_signing_does_not_change_the_digest() -> None:
    assert parse_executable(add_certificates(PLAIN, bytes(64))).authenticode() == parse_executable(PLAIN).authenticode()


def test_the_checksum_does_not_change_the_digest() -> None:
    assert parse_executable(patched(OPTIONAL + 64, "<I", 7)).authenticode() == parse_executable(PLAIN).authenticode()


def test_bytes_after_the_last_section_change_the_digest_and_are_not_padded() -> None:
    with_tail = {parse_executable(PLAIN + bytes(count)).authenticode() for count in range(9)}
    assert len(with_tail) == 9


def test_a_section_is_cut_to_its_size_in_memory() -> None:
    executable = parse_executable(PLAIN)
    assert bytes(executable.loaded(executable.sections[1])) == b"data"


def test_a_section_that_is_longer_in_memory_ends_in_zeros() -> None:
    executable = parse_executable(patched(SECTION_TABLE + 40 + 8, "<I", 600))
    assert bytes(executable.loaded(executable.sections[1])) == b"data" + bytes(596)


def test_a_section_that_is_almost_only_zeros_is_not_made() -> None:
    image = bytearray(patched(SECTION_TABLE + 40 + 8, "<I", 2 * MAX_ZERO_FILL))
    struct.pack_into("<I", image, OPTIONAL + 56, 0xFFFF_FFFF)
    executable = parse_executable(image)
    with pytest.raises(PredictionError, match="zeros that are not in the file"):
        executable.loaded(executable.sections[1])


@pytest.mark.parametrize(
    "image, message",
    [
        (b"", "truncated"),
        (b"\x7fELF" + bytes(200), "begins with b'.x7fE'"),
        (b"MZ" + bytes(58) + b"\xff\xff\xff\xff", "truncated"),
        (patched(PE, "<4s", b"NE\0\0"), "signature"),
        (patched(PE + 6, "<H", 513), "513 sections"),
        (patched(PE + 6, "<H", 512), "truncated|section table"),
        (patched(PE + 20, "<H", 0xFFFF), "truncated"),
        (patched(OPTIONAL, "<H", 0x10B), "magic of the optional header"),
        (patched(OPTIONAL + 60, "<I", SECTION_TABLE), "inside the section table"),
        (patched(OPTIONAL + 60, "<I", 0xFFFF_FFFF), "outside the file"),
        (patched(OPTIONAL + 56, "<I", 0x1000), "image at 0x1000"),
        (patched(OPTIONAL + 144, "<II", 0, 8) + bytes(16), "at the end"),
        (patched(OPTIONAL + 144, "<II", 0, len(PLAIN)), "truncated"),
        (patched(SECTION_TABLE + 20, "<I", 8), "overlaps what is before it in the file"),
        (patched(SECTION_TABLE + 40 + 20, "<I", HEADERS_SIZE), "overlaps what is before it in the file"),
        (patched(SECTION_TABLE + 40 + 16, "<I", 0xFFFF_FFFF), "truncated"),
        (patched(SECTION_TABLE + 40 + 12, "<I", HEADERS_SIZE), "overlaps what is before it in memory"),
        (PLAIN[:-1], "truncated"),
    ],
    ids=[
        "empty",
        "other_format",
        "pe_header_outside",
        "other_signature",
        "too_many_sections",
        "section_table_runs_into_contents",
        "section_table_outside",
        "pe32",
        "headers_too_short",
        "headers_too_long",
        "memory_too_small",
        "certificates_not_at_the_end",
        "certificates_overlap_sections",
        "section_inside_headers",
        "sections_overlap_in_file",
        "section_outside",
        "sections_overlap_in_memory",
        "last_byte_missing",
    ],
)
def test_a_broken_executable_is_malformed(image: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        parse_executable(image)


def test_an_executable_for_another_processor_is_named() -> None:
    with pytest.raises(PredictionError, match="machine 0xaa64"):
        parse_executable(build_executable({}, machine=0xAA64))


def test_sections_cannot_be_added_where_the_headers_have_no_room() -> None:
    with pytest.raises(ValueError, match="no room"):
        add_sections(PLAIN, {f".{number}": b"" for number in range(100)})


@pytest.mark.skipif(shutil.which("osslsigncode") is None, reason="osslsigncode is not installed")
def test_a_signing_tool_computes_the_same_digest(tmp_path: Path) -> None:
    unsigned, signed = tmp_path / "unsigned.efi", tmp_path / "signed.efi"
    unsigned.write_bytes(PLAIN)
    sign(unsigned, signed)
    shown = subprocess.run(["osslsigncode", "verify", "-in", signed], capture_output=True, text=True, check=False)
    digests = re.findall(r"message digest\s*: ([0-9A-F]{64})", shown.stdout)
    ours = {parse_executable(file.read_bytes()).authenticode().hex().upper() for file in (unsigned, signed)}
    assert {*digests} == ours


def sign(source: Path, target: Path) -> None:
    """Sign with a key that nobody keeps."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name, now = x509.Name.from_rfc4514_string("CN=test"), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    key_file, certificate_file = source.with_suffix(".key"), source.with_suffix(".pem")
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    certificate_file.write_bytes(certificate)
    options = ["-h", "sha256", "-key", str(key_file), "-certs", str(certificate_file)]
    command = ["osslsigncode", "sign", *options, "-in", str(source), "-out", str(target)]
    subprocess.run(command, check=True, capture_output=True)
