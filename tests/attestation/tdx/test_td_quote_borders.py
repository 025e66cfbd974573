# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Intel's quoting enclave bit by bit, in numbers that are written here and not read from the library."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from attestation.errors import NotGenuineError
from attestation.tdx.quote import parse_quote
from attestation.tdx.verify import verify_quote

if TYPE_CHECKING:
    from attestation.tdx.verify import VerifiedQuote
    from attestation.testing.tdx import FakeIntel, FakeTdxPlatform

AT = datetime(2026, 1, 1, tzinfo=UTC)
INIT, MODE64BIT, PROVISIONKEY = 1 << 0, 1 << 2, 1 << 4
XFRM = 64  # the upper half of the attributes


def verify(platform: FakeTdxPlatform, intel: FakeIntel) -> VerifiedQuote:
    return verify_quote(parse_quote(platform.quote()), at=AT, roots=intel.roots)


def refusal(platform: FakeTdxPlatform, intel: FakeIntel) -> str:
    with pytest.raises(NotGenuineError) as caught:
        verify(platform, intel)
    return caught.value.check


def attributes(bits: int) -> bytes:
    return bits.to_bytes(16, "little")


def test_the_enclave_that_intel_publishes(platform: FakeTdxPlatform, intel: FakeIntel) -> None:
    platform.vendor = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
    platform.qe_signer = bytes.fromhex("dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5")
    platform.qe_product = 2
    platform.qe_misc_select = bytes(4)
    platform.qe_attributes = attributes(INIT | PROVISIONKEY)
    proof = verify(platform, intel)
    assert proof.vouchers == (
        "Intel SGX Root CA",
        "Intel SGX PCK Platform CA",
        f"PCK of FMSPC {platform.fmspc.hex()}",
    )


@pytest.mark.parametrize("bit", range(128))
def test_every_attribute_of_the_enclave_is_looked_at(platform: FakeTdxPlatform, intel: FakeIntel, bit: int) -> None:
    platform.qe_attributes = attributes((INIT | PROVISIONKEY) ^ 1 << bit)
    if 1 << bit == MODE64BIT or bit >= XFRM:
        verify(platform, intel)
    else:
        assert refusal(platform, intel) == "tdx.qe_attributes"


@pytest.mark.parametrize("bit", range(32))
def test_every_bit_of_misc_select_is_looked_at(platform: FakeTdxPlatform, intel: FakeIntel, bit: int) -> None:
    platform.qe_misc_select = (1 << bit).to_bytes(4, "little")
    assert refusal(platform, intel) == "tdx.qe_attributes"


@pytest.mark.parametrize("product", [0, 1, 3, 0x0200])
def test_an_enclave_of_intel_for_something_else(platform: FakeTdxPlatform, intel: FakeIntel, product: int) -> None:
    platform.qe_product = product
    assert refusal(platform, intel) == "tdx.qe_identity"
