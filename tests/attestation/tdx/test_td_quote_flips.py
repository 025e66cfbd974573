# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Any byte on which a signature depends, changed in any way, makes the quote worthless, and nothing else comes out."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from attestation.errors import AttestationError
from attestation.roots import VENDOR_ROOTS, Roots
from attestation.tdx.chain import verify_chain
from attestation.tdx.quote import parse_quote
from attestation.tdx.verify import verify_quote
from attestation.testing.tdx import FakeIntel, FakeTdxPlatform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

AT = datetime(2025, 7, 1, tzinfo=UTC)
INTEL = FakeIntel()
QUOTES = {version: FakeTdxPlatform(intel=INTEL, version=version).quote() for version in (4, 5)}
CHAIN = INTEL.platform().pck_chain()


def text_of_chain(quote: bytes) -> int:
    return quote.index(b"-----BEGIN")


def accepted_flips(quote: bytes, offsets: Iterable[int], bits: Iterable[int], roots: Roots) -> list[tuple[int, int]]:
    """Flip each of the bits in each of the bytes, one at a time, and list what is accepted nevertheless."""
    accepted = []
    for offset in offsets:
        for bit in bits:
            changed = quote[:offset] + bytes([quote[offset] ^ 1 << bit]) + quote[offset + 1 :]
            with suppress(AttestationError):
                verify_quote(parse_quote(changed), at=AT, roots=roots)
                accepted.append((offset, bit))
    return accepted


@pytest.mark.parametrize("version", [4, 5])
def test_header_and_body_of_the_quote(version: int) -> None:
    quote = QUOTES[version]
    signed = range(len(parse_quote(quote).signed))
    assert accepted_flips(quote, signed, (0, 7), INTEL.roots) == []


@pytest.mark.parametrize("version", [4, 5])
def test_signatures_keys_and_enclave_report(version: int) -> None:
    quote = QUOTES[version]
    region = range(len(parse_quote(quote).signed), text_of_chain(quote))
    assert accepted_flips(quote, region, (0, 7), INTEL.roots) == []


def test_certificates() -> None:
    quote = QUOTES[4]
    letters = [index for index in range(text_of_chain(quote), len(quote)) if quote[index : index + 1].strip(b"\n\0")]
    assert accepted_flips(quote, letters[::5], (0, 1), INTEL.roots) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcap-qvl", "trustee-5"])
def test_every_bit_of_a_real_quote(recorded: Callable[[str], bytes], name: str) -> None:
    quote = recorded(name)
    letters = [index for index in range(text_of_chain(quote), len(quote)) if quote[index : index + 1].strip(b"\n\0")]
    assert accepted_flips(quote, [*range(text_of_chain(quote)), *letters], range(8), VENDOR_ROOTS) == []


@given(st.sampled_from(list(QUOTES.values())), st.integers(0, 2**16), st.binary(min_size=1, max_size=8))
def test_any_damage_gives_one_of_our_errors_or_a_proof(quote: bytes, place: int, value: bytes) -> None:
    offset = place % len(quote)
    with suppress(AttestationError):
        verify_quote(parse_quote(quote[:offset] + value + quote[offset + 1 :]), at=AT, roots=INTEL.roots)


@given(st.integers(0, 2), st.integers(0, 2**12), st.binary(min_size=1, max_size=4))
def test_any_damage_of_a_certificate_gives_one_of_our_errors(link: int, place: int, value: bytes) -> None:
    chain = list(CHAIN)
    offset = place % len(chain[link])
    chain[link] = chain[link][:offset] + value + chain[link][offset + len(value) :]
    assume(chain[link] != CHAIN[link])
    with pytest.raises(AttestationError):
        verify_chain(tuple(chain), INTEL.roots.intel)
