# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence goes through JSON and comes back exactly; everything else is refused."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation import AttestationError, Evidence, SnpEvidence, TdxEvidence, TpmEvidence, Variant
from attestation.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable

PCRS = st.dictionaries(st.integers(0, 23), st.binary(min_size=32, max_size=32))
TPM = st.builds(TpmEvidence, attest=st.binary(), signature=st.binary(), pcrs=PCRS, ak_public=st.binary())
SNP = st.builds(SnpEvidence, report=st.binary(), certificates=st.lists(st.binary(), max_size=8).map(tuple))
EVIDENCE = st.builds(
    Evidence,
    variant=st.sampled_from(Variant),
    tpm=st.none() | TPM,
    snp=st.none() | SNP,
    tdx=st.none() | st.builds(TdxEvidence, quote=st.binary()),
    platform=st.dictionaries(st.text(max_size=8), st.binary(), max_size=8),
)
COMPLETE = Evidence(
    Variant.AZURE_SEV_SNP,
    tpm=TpmEvidence(attest=b"attest", signature=b"signature", pcrs={4: bytes(32)}, event_log=b"log"),
    snp=SnpEvidence(report=b"report", certificates=(b"vcek",)),
    platform={"runtime_data": b"{}"},
)


@given(EVIDENCE)
def test_round_trip_is_exact(evidence: Evidence) -> None:
    data = evidence.to_json()
    assert Evidence.from_json(data) == evidence
    assert Evidence.from_json(data).to_json() == data


def test_white_space_and_order_do_not_matter_to_the_reader() -> None:
    spread = json.dumps(json.loads(COMPLETE.to_json()), indent=4).encode()
    assert Evidence.from_json(spread) == COMPLETE


def test_equal_evidence_has_equal_hash() -> None:
    assert hash(Evidence.from_json(COMPLETE.to_json())) == hash(COMPLETE)


def edited(**changes: object) -> bytes:
    return json.dumps({**json.loads(COMPLETE.to_json()), **changes}).encode()


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"version":1}', "missing variant"),
        (b'{"version":1,"version":1,"variant":"insecure"}', "twice"),
        (b'{"version":NaN,"variant":"insecure"}', "not a value"),
        (edited(version=2), "version is 2"),
        (edited(version=True), "version is True"),
        (edited(variant="qemu-spn"), "unknown variant"),
        (edited(variant=[]), "unknown variant"),
        (edited(extra=1), "unknown key 'extra'"),
        (edited(snp=None), "expected an object"),
        (edited(snp={"report": "AA==", "certificates": ["AA=="] * 9}), "at most 8"),
        (edited(snp={"report": "AA", "certificates": []}), "not base64"),
        (edited(snp={"report": "AB==", "certificates": []}), "not canonical"),
        (edited(snp={"report": 5, "certificates": []}), "base64 text"),
        (edited(tdx={}), "missing quote"),
        (edited(platform={}), "1 to 16 parts"),
        (edited(platform={str(i): "" for i in range(17)}), "1 to 16 parts"),
        ('{"version":1,"variant":"ö"}'.encode(), "not JSON"),
    ],
)
def test_refuses(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        Evidence.from_json(data)


@pytest.mark.parametrize("name", ["24", "-1", "04", "4 ", "four"])
def test_refuses_a_register_that_is_no_pcr(name: str) -> None:
    record = json.loads(COMPLETE.to_json())
    record["tpm"]["pcrs"] = {name: "AAAA"}
    with pytest.raises(MalformedError, match="keys 0 to 23"):
        Evidence.from_json(json.dumps(record).encode())


def test_refuses_a_register_of_another_bank() -> None:
    with pytest.raises(MalformedError, match="32 bytes"):
        TpmEvidence(attest=b"", signature=b"", pcrs={0: bytes(20)})


@given(st.binary(max_size=400))
def test_garbage_meets_only_our_errors(data: bytes) -> None:
    with pytest.raises(AttestationError):
        Evidence.from_json(data)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_changed_byte_meets_only_our_errors(position: int, value: int) -> None:
    data = bytearray(COMPLETE.to_json())
    data[position % len(data)] = value
    with contextlib.suppress(AttestationError):
        Evidence.from_json(bytes(data))


@pytest.mark.parametrize("blob", [os.urandom(1 << 20), b"[" * (1 << 20), b'{"' + b"a" * (1 << 20), bytes(1 << 20)])
def test_a_mebibyte_of_garbage_is_refused_at_once(
    blob: bytes, least_time: Callable[[Callable[[], object]], float]
) -> None:
    def refuse() -> None:
        with pytest.raises(MalformedError):
            Evidence.from_json(blob)

    assert least_time(refuse) < 0.01
