# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is done to evidence, a judgement is a verdict: nothing else comes out, and what is signed cannot change."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation import Evidence, Variant
from attestation.aws.document import parse_document
from attestation.errors import MalformedError
from attestation.testing.node import FakeNode
from attestation.variant import Technology

if TYPE_CHECKING:
    from collections.abc import Callable

BINDING = hashlib.sha256(b"binding").digest()
GENUINE = tuple(variant for variant in Variant if variant is not Variant.INSECURE)
BYTES_OF = {
    Technology.TPM: ("attest", "signature", "ak_public", "event_log"),
    Technology.SNP: ("report",),
    Technology.TDX: ("quote",),
}
# What these hold is covered by a signature to the last byte, so no change of them is accepted.
SIGNED = ("attest", "signature", "report", "runtime_data", "nitro_document")


@cache
def good(variant: Variant) -> FakeNode:
    return FakeNode(variant)


@cache
def issued(variant: Variant) -> Evidence:
    return good(variant).evidence(BINDING)


def places(evidence: Evidence) -> list[tuple[str, str]]:
    """Every string of bytes in evidence: part and name."""
    parts = [
        (technology.value, name)
        for technology in sorted(evidence.variant.technologies)
        for name in BYTES_OF[technology]
    ]
    return parts + [("platform", name) for name in evidence.platform] + [("certificates", "leaf")] * bool(evidence.snp)


def at(evidence: Evidence, place: tuple[str, str]) -> bytes:
    match place:
        case ("platform", name):
            return evidence.platform[name]
        case ("certificates", _):
            assert evidence.snp is not None
            return evidence.snp.certificates[0]
        case (part, name):
            value: bytes = getattr(getattr(evidence, part), name)
            return value
    raise AssertionError


def changed(evidence: Evidence, place: tuple[str, str], value: bytes) -> Evidence:
    match place:
        case ("platform", name):
            return replace(evidence, platform={**evidence.platform, name: value})
        case ("certificates", _):
            assert evidence.snp is not None
            return replace(evidence, snp=replace(evidence.snp, certificates=(value, *evidence.snp.certificates[1:])))
        case (part, name):
            field: dict[str, Any] = {part: replace(getattr(evidence, part), **{name: value})}
            return replace(evidence, **field)
    raise AssertionError


@st.composite
def broken(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with something flipped, cut away, put in, or replaced."""
    position = draw(st.integers(0, max(len(data) - 1, 0)))
    garbage = draw(st.binary(max_size=8))
    choices: list[bytes] = [
        data[:position] + bytes([data[position] ^ 1 << draw(st.integers(0, 7))]) + data[position + 1 :]
        if data
        else b"\1",
        data[:position],
        data[:position] + garbage + data[position:],
        data + garbage,
        garbage,
    ]
    return draw(st.sampled_from(choices))


@pytest.mark.parametrize("variant", GENUINE)
@given(choice=st.data())
def test_broken_evidence_gives_a_verdict(variant: Variant, choice: st.DataObject) -> None:
    evidence = issued(variant)
    place = choice.draw(st.sampled_from(places(evidence)))
    before = at(evidence, place)
    after = choice.draw(broken(before))
    verdict = good(variant).verdict(BINDING, evidence=changed(evidence, place, after))
    if place[1] in SIGNED and after != before:
        assert not verdict.accepted
    assert verdict.to_mapping()["variant"] == variant.value


@pytest.mark.parametrize("variant", GENUINE)
def test_a_mebibyte_in_any_place_is_refused_at_once(
    variant: Variant, least_time: Callable[[Callable[[], object]], float]
) -> None:
    evidence = issued(variant)
    good(variant).verdict(BINDING, evidence=evidence)  # makes the keys of the fakes
    for place in places(evidence):
        huge = changed(evidence, place, bytes(range(256)) * 4096)
        verdict = good(variant).verdict(BINDING, evidence=huge)
        assert verdict.accepted is (place[1] in ("ek_certificate", "ek_chain")), place
        assert least_time(lambda huge=huge: good(variant).verdict(BINDING, evidence=huge)) < 0.1, place  # type: ignore[misc]


def nitro_document() -> bytes:
    return issued(Variant.AWS_NITRO_TPM).platform["nitro_document"]


@given(st.data())
def test_a_broken_document_gives_a_record_or_our_error(choice: st.DataObject) -> None:
    with suppress(MalformedError):
        parse_document(choice.draw(broken(nitro_document())))


@pytest.mark.parametrize("parse", [parse_document])
def test_a_mebibyte_of_document_is_refused_at_once(
    parse: Callable[[bytes], object], least_time: Callable[[Callable[[], object]], float]
) -> None:
    def refuse() -> None:
        with pytest.raises(MalformedError):
            parse(b"\x84" * 1048576)

    assert least_time(refuse) < 0.01


def test_a_document_is_read_as_it_was_written() -> None:
    document = parse_document(nitro_document())
    assert document.digest == "SHA384"
    assert document.nonce == BINDING
    assert document.module_id.startswith("i-")
    assert document.created.year == 2025
    assert document.public_key == b""
    assert len(document.authorities) == 2
    assert len(document.registers) == 24


def test_keys_of_a_document_that_are_not_known_are_shown() -> None:
    node = FakeNode(Variant.AWS_NITRO_TPM)
    node.nitro.changes["new_field"] = 1
    evidence = node.evidence(BINDING)
    assert parse_document(evidence.platform["nitro_document"]).unknown == ("new_field",)
    assert node.verdict(BINDING, evidence=evidence).accepted
