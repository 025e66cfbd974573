# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A recorded attestation of a real machine of Compute Engine: three banks, one key, one boot log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from attestation import Evidence, Mark, Policy, TpmEvidence, Variant, judge
from attestation.chain import load_certificate, verify_chain
from attestation.errors import NotGenuineError
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.attestation_key import AttestationKey
from attestation.tpm.event_log import parse_event_log
from attestation.tpm.quote import parse_quote
from attestation.tpm.replay import replay
from attestation.tpm.verify import verify_quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = datetime(2026, 1, 1, tzinfo=UTC)
TOOLS = "google__go-tpm-tools"
BANKS = (HashAlgorithm.SHA1, HashAlgorithm.SHA256, HashAlgorithm.SHA384)


@dataclass(frozen=True)
class RecordedQuote:
    attest: bytes
    signature: bytes
    pcrs: dict[int, bytes]


@dataclass(frozen=True)
class Recorded:
    ak_public: bytes
    quotes: dict[HashAlgorithm, RecordedQuote]
    event_log: bytes


def varint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[offset]
        value, shift, offset = value | (byte & 0x7F) << shift, shift + 7, offset + 1
        if not byte & 0x80:
            return value, offset


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Fields of a protocol buffer: number, and integer or bytes."""
    offset = 0
    while offset < len(data):
        key, offset = varint(data, offset)
        value, offset = varint(data, offset)
        if key & 7 == 2:
            yield key >> 3, data[offset : offset + value]
            offset += value
        else:
            yield key >> 3, value


def read_quote(data: bytes) -> tuple[HashAlgorithm, RecordedQuote]:
    parts = dict(fields(data))
    bank, registers = HashAlgorithm.SHA1, {}
    for number, value in fields(parts[3]):
        if number == 1:
            bank = HashAlgorithm.of(value, "recorded attestation")
        else:
            entry = dict(fields(value))
            registers[entry.get(1, 0)] = entry[2]
    return bank, RecordedQuote(parts[1], parts[2], registers)


@pytest.fixture
def recorded(vectors: Path) -> Recorded:
    data = (vectors / TOOLS / "internal/test/attestations/gce-cos-85-no-nonce.pb").read_bytes()
    found = list(fields(data))
    quotes = dict(read_quote(value) for number, value in found if number == 2)
    once = dict(found)
    return Recorded(once[1], quotes, once[3])


@pytest.mark.parametrize("bank", BANKS)
def test_a_quote_of_each_bank_is_genuine(recorded: Recorded, bank: HashAlgorithm) -> None:
    quote, key = recorded.quotes[bank], AttestationKey.from_public_area(recorded.ak_public)
    assert parse_quote(quote.attest).extra_data == b""  # as its file name says: no nonce
    verified = verify_quote(
        key, quote.attest, quote.signature, quote.pcrs, binding=None, vouchers=("Google",), bank=bank
    )
    assert not verified.bound
    assert len(verified.pcrs) == 24


@pytest.mark.parametrize("bank", BANKS)
def test_a_quote_of_one_bank_is_none_of_another(recorded: Recorded, bank: HashAlgorithm) -> None:
    quote, key = recorded.quotes[bank], AttestationKey.from_public_area(recorded.ak_public)
    other = HashAlgorithm.SHA384 if bank is not HashAlgorithm.SHA384 else HashAlgorithm.SHA256
    with pytest.raises(NotGenuineError, match=r"tpm\.bank"):
        verify_quote(key, quote.attest, quote.signature, quote.pcrs, binding=None, vouchers=(), bank=other)


@pytest.mark.parametrize("bank", BANKS)
def test_the_log_replays_to_the_quoted_registers(recorded: Recorded, bank: HashAlgorithm) -> None:
    replayed = replay(parse_event_log(recorded.event_log), bank)
    assert replayed.items() <= recorded.quotes[bank].pcrs.items()
    assert {0, 4, 7} <= replayed.keys()


def judged(recorded: Recorded, *, name: bytes | None = None) -> list[str]:
    quote, key = recorded.quotes[HashAlgorithm.SHA256], AttestationKey.from_public_area(recorded.ak_public)
    tpm = TpmEvidence(quote.attest, quote.signature, quote.pcrs, recorded.ak_public, recorded.event_log)
    policy = Policy.from_mapping(
        {
            "variant": "gcp-sev-es",
            "measurements": {"4": {"expected": quote.pcrs[4].hex(), "enforced": True}},
            "ak_names": [(name or key.name or b"").hex()],
            "require_event_log": True,
        },
    )
    evidence = Evidence(Variant.GCP_SEV_ES, tpm=tpm)
    verdict = judge(evidence, policy, binding=None, at=AT, mark=Mark.ANY)
    return [mismatch.name for mismatch in verdict.mismatches]


def test_a_machine_with_plain_sev_is_refused_for_just_that(recorded: Recorded) -> None:
    assert judged(recorded) == ["gcp.technology"]


def test_a_key_that_is_not_listed_is_refused(recorded: Recorded) -> None:
    assert "ak_names" in judged(recorded, name=b"\x00\x0b" + bytes(32))


def test_googles_authorities_hold_together(vectors: Path) -> None:
    """No leaf is public, so the intermediate stands for what stands below the root: it is none, and refused as one."""
    folder = vectors / TOOLS / "server/ca-certs"
    root = load_certificate((folder / "gcp_ek_ak_ca_root.crt").read_bytes())
    intermediate = load_certificate((folder / "gcp_ek_ak_ca_intermediate_v3.crt").read_bytes())
    intermediate.verify_directly_issued_by(root)
    with pytest.raises(NotGenuineError, match=r"ak_roots\.leaf"):
        verify_chain(intermediate, [], [root], AT, check="ak_roots")
