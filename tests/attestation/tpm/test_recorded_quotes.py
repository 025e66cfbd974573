# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Quotes that real devices made: swtpm, Compute Engine, Azure on Milan, Genoa and TDX."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from attestation.errors import NotGenuineError
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.attestation_key import AttestationKey
from attestation.tpm.event_log import parse_event_log
from attestation.tpm.gce_event import GceTechnology, gce_technology
from attestation.tpm.replay import replay
from attestation.tpm.signature import rsassa_signature
from attestation.tpm.verify import verify_quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRUSTEE = "confidential-containers__trustee/deps/verifier/test_data"
HCL_RUNTIME_DATA = 1216 + 20  # where the runtime JSON begins in a blob of the paravisor


def registers(values: list[str]) -> dict[int, bytes]:
    return {index: bytes.fromhex(value) for index, value in enumerate(values)}


def hcl_key(blob: bytes) -> AttestationKey:
    runtime, _ = json.JSONDecoder().raw_decode(blob[HCL_RUNTIME_DATA:].decode("latin-1"))
    key = next(key for key in runtime["keys"] if key["kid"] == "HCLAkPub")
    numbers = {name: int.from_bytes(base64.urlsafe_b64decode(key[name] + "=="), "big") for name in ("n", "e")}
    return AttestationKey(rsa.RSAPublicNumbers(numbers["e"], numbers["n"]).public_key())


def test_swtpm(vectors: Path) -> None:
    recorded = json.loads((vectors / "derived" / "quote_swtpm_ecc.json").read_text(encoding="utf-8"))
    key = AttestationKey.from_public_area(bytes.fromhex(recorded["public"]))
    attest, signature, nonce = (bytes.fromhex(recorded[name]) for name in ("attest", "sig", "nonce"))
    values = {int(index): bytes.fromhex(value) for index, value in recorded["pcrs"].items()}
    proof = verify_quote(key, attest, signature, values, binding=nonce, vouchers=())
    assert sorted(proof.pcrs) == list(range(16))
    with pytest.raises(NotGenuineError):
        verify_quote(key, attest, signature, {**values, 11: bytes(32)}, binding=nonce, vouchers=())


@pytest.mark.parametrize("platform", ["az-snp-vtpm", "az-tdx-vtpm"])
def test_azure(vectors: Path, platform: str) -> None:
    folder = vectors / TRUSTEE / platform
    recorded = json.loads((folder / "tpm-quote-v1.json").read_text(encoding="utf-8"))
    proof = verify_quote(
        hcl_key((folder / "hcl-report.bin").read_bytes()),
        bytes.fromhex(recorded["message"]),
        rsassa_signature(bytes.fromhex(recorded["signature"])),
        registers(recorded["pcrs"]),
        binding=b"challenge",
        vouchers=(),
    )
    assert len(proof.pcrs) == 24


def test_azure_evidence_in_one_file(vectors: Path) -> None:
    recorded = json.loads((vectors / TRUSTEE / "az-snp-vtpm" / "evidence-v2.json").read_text(encoding="utf-8"))
    quote, blob = recorded["tpm_quote"], recorded["hcl_report"]
    proof = verify_quote(
        hcl_key(base64.urlsafe_b64decode(blob + "==")),
        bytes.fromhex(quote["message"]),
        rsassa_signature(bytes.fromhex(quote["signature"])),
        registers(quote["pcrs"]),
        binding=None,
        vouchers=(),
    )
    assert not proof.bound


def test_key_given_as_subject_public_key_info(vectors: Path) -> None:
    recorded = json.loads((vectors / TRUSTEE / "tpm_evidence.json").read_text(encoding="utf-8"))
    key = load_der_public_key(base64.b64decode(recorded["ak_public"]))
    assert isinstance(key, rsa.RSAPublicKey)
    quote = recorded["tpm_quote"]
    attest, signature = base64.b64decode(quote["message"]), base64.b64decode(quote["signature"])
    verify_quote(AttestationKey(key), attest, signature, registers(quote["pcrs"]), binding=None, vouchers=())


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Read the wire format of protobuf: (number, integer or bytes)."""
    offset = 0

    def varint() -> int:
        nonlocal offset
        value = shift = 0
        while True:
            byte = message[offset]
            offset, value, shift = offset + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while offset < len(message):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        else:
            assert tag & 7 == 2
            size = varint()
            yield tag >> 3, message[offset : offset + size]
            offset += size


@pytest.mark.parametrize("bank", [HashAlgorithm.SHA1, HashAlgorithm.SHA256, HashAlgorithm.SHA384])
def test_compute_engine(vectors: Path, bank: HashAlgorithm) -> None:
    file = vectors / "google__go-tpm-tools/internal/test/attestations/gce-cos-85-no-nonce.pb"
    message = list(fields(file.read_bytes()))
    key = AttestationKey.from_public_area(dict(message)[1])
    log = parse_event_log(dict(message)[3])
    quotes = {dict(fields(dict(fields(value))[3]))[1]: value for number, value in message if number == 2}
    quote = dict(fields(quotes[bank]))
    pairs = [dict(fields(value)) for number, value in fields(quote[3]) if number == 2]
    values = {pair.get(1, 0): pair[2] for pair in pairs}
    proof = verify_quote(key, quote[1], quote[2], values, binding=None, vouchers=(), bank=bank)
    replayed = replay(log, bank)
    assert len(replayed) == 10
    assert {index: proof.pcrs[index] for index in replayed} == replayed
    assert gce_technology(log, bank) is GceTechnology.SEV
