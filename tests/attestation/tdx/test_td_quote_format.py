# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The parser of TD quotes: fields of real quotes, other kinds by name, and nothing but our errors for any bytes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError
from attestation.tdx.attributes import TdAttributes, Xfam, flag_names, unknown_bits
from attestation.tdx.quote import MAX_SIZE, BodyType, parse_quote
from attestation.testing.intel_authority import pem
from attestation.testing.tdx import FakeIntel, FakeTdxPlatform

if TYPE_CHECKING:
    from collections.abc import Callable

QUOTES = {version: FakeTdxPlatform(intel=FakeIntel(), version=version).quote() for version in (4, 5)}
SIGNATURE_DATA = 48 + 584 + 4  # offset in a quote of version 4
ENCLAVE_PART = SIGNATURE_DATA + 64 + 64 + 6
CHAIN = ENCLAVE_PART + 384 + 64 + 2 + 32 + 6


def damaged(quote: bytes, offset: int, value: bytes) -> bytes:
    return quote[:offset] + value + quote[offset + len(value) :]


@pytest.mark.parametrize(
    "name, version, body, mr_td, trailing",
    [
        ("dcap-qvl", 4, BodyType.TD_1_0, "91eb2b44", 70),
        ("trustee-4-debug", 4, BodyType.TD_1_0, "705ee938", 0),
        ("trustee-5", 5, BodyType.TD_1_5, "dfba221b", 0),
        ("azure", 4, BodyType.TD_1_0, "024a32b0", 70),
        ("sapphire-rapids", 4, BodyType.TD_1_0, "6363b804", 39),
    ],
)
def test_real_quotes(
    recorded: Callable[[str], bytes], name: str, version: int, body: BodyType, mr_td: str, trailing: int
) -> None:
    quote = parse_quote(recorded(name))
    assert (quote.version, quote.body_type) == (version, body)
    assert quote.report.mr_td.hex().startswith(mr_td)
    assert len(quote.signature.certificates) == 3
    assert len(quote.trailing) == trailing


def test_all_fields_of_a_report(platform: FakeTdxPlatform) -> None:
    platform.version = 5
    platform.tee_tcb_svn_2 = bytes(range(16))
    platform.mr_service_td = b"\x07" * 48
    platform.user_data = b"\x05" * 20
    quote = parse_quote(platform.quote(b"data"))
    report = quote.report
    for name in ("tee_tcb_svn", "mr_seam", "td_attributes", "xfam", "mr_td", "tee_tcb_svn_2", "mr_service_td"):
        assert getattr(report, name) == getattr(platform, name)
    assert report.report_data == b"data".ljust(64, b"\0")
    assert list(report.registers.values()) == [platform.mr_td, *platform.rtmrs]
    assert quote.user_data == platform.user_data


def test_a_report_1_0_inside_version_5(platform: FakeTdxPlatform) -> None:
    platform.version, platform.body_type = 5, BodyType.TD_1_0
    quote = parse_quote(platform.quote())
    assert quote.report.mr_service_td is None
    assert len(quote.signed) == 48 + 6 + 584


def test_an_sgx_quote_is_named(recorded: Callable[[str], bytes]) -> None:
    with pytest.raises(MalformedError, match="SGX quote, not TDX") as caught:
        parse_quote(recorded("sgx"))
    assert "tdx_guest" in caught.value.hint


@pytest.mark.parametrize(
    "attribute, value, message",
    [
        ("tee_type", 0, "SGX quote, not TDX"),
        ("tee_type", 0x82, "TEE type 0x82"),
        ("version", 3, "version 3"),
        ("version", 6, "version 6"),
        ("key_type", 3, "attestation key of type 3, expected 2"),
    ],
)
def test_other_kinds_are_named(platform: FakeTdxPlatform, attribute: str, value: int, message: str) -> None:
    setattr(platform, attribute, value)
    with pytest.raises(MalformedError, match=message):
        parse_quote(platform.quote())


@pytest.mark.parametrize(
    "kind, name", [(1, "SGX"), (4, "TD_1_5_EXTENDED"), (5, "unknown"), (0xFFFF, "unknown")], ids=str
)
def test_other_bodies_are_named(platform: FakeTdxPlatform, kind: int, name: str) -> None:
    platform.version, platform.body_type = 5, kind
    with pytest.raises(MalformedError, match=rf"body of type {kind} \({name}\)"):
        parse_quote(platform.quote())


def test_a_body_of_another_size_than_its_type(platform: FakeTdxPlatform) -> None:
    platform.version = 5
    with pytest.raises(MalformedError, match="size of the body is 584"):
        parse_quote(damaged(platform.quote(), 50, (584).to_bytes(4, "little")))


@pytest.mark.parametrize("offset", [ENCLAVE_PART - 6, CHAIN - 6], ids=["outer", "inner"])
def test_other_certification_data(platform: FakeTdxPlatform, offset: int) -> None:
    with pytest.raises(MalformedError, match="certification data of type 1") as caught:
        parse_quote(damaged(platform.quote(), offset, b"\x01\x00"))
    assert "PCK certificate chain" in caught.value.hint


def test_what_follows_the_quote_is_kept(platform: FakeTdxPlatform) -> None:
    platform.trailing = b"rest of a buffer"
    assert parse_quote(platform.quote()).trailing == platform.trailing


def test_nothing_follows_the_certification_data(platform: FakeTdxPlatform) -> None:
    quote = platform.quote()
    longer = damaged(quote, SIGNATURE_DATA - 4, (len(quote) - SIGNATURE_DATA + 3).to_bytes(4, "little"))
    with pytest.raises(MalformedError, match="3 bytes more than its format allows"):
        parse_quote(longer + bytes(3))


@pytest.mark.parametrize(
    "old, new",
    [
        (b"-----BEGIN CERTIFICATE-----\n", b"-----BEGIN CERTIFICATES----\n"),
        (b"-----BEGIN CERTIFICATE-----\n", b"----------------------------"),
        (b"-----END CERTIFICATE-----\n", b"--------------------------"),
        (b"-----END CERTIFICATE-----\n\0", b"-----END CERTIFICATE-----\nx"),
        (b"MII", b"M*I"),
        (b"MII", b"MI="),
        (b"-----BEGIN CERTIFICATE-----\nMII", b"x----BEGIN CERTIFICATE-----\nMII"),
        (b"\n-----BEGIN CERTIFICATE-----", b"x-----BEGIN CERTIFICATE-----"),
    ],
)
def test_broken_text_of_the_chain(platform: FakeTdxPlatform, old: bytes, new: bytes) -> None:
    with pytest.raises(MalformedError, match="PCK chain"):
        parse_quote(platform.quote().replace(old, new))


def test_text_of_the_chain_from_another_system(platform: FakeTdxPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.certificates = platform.pck_chain()
    monkeypatch.setattr("attestation.testing.tdx.pem", lambda chain: pem(chain).replace("\n", "\r\n").rstrip())
    assert parse_quote(platform.quote()).signature.certificates == platform.certificates


BLOCK = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("count", [0, 9])
def test_too_many_certificates_and_none(platform: FakeTdxPlatform, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("attestation.testing.tdx.pem", lambda _chain: BLOCK * count)
    with pytest.raises(MalformedError, match=f"{count} certificates"):
        parse_quote(platform.quote())


@pytest.mark.parametrize("count", [1, 8])
def test_number_of_certificates(platform: FakeTdxPlatform, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("attestation.testing.tdx.pem", lambda _chain: BLOCK * count)
    assert parse_quote(platform.quote()).signature.certificates == (bytes(3),) * count


@pytest.mark.parametrize("text", ["AAB=", "AB==", "AAA"], ids=["two spare bits", "four spare bits", "no padding"])
def test_text_that_says_the_same_in_another_way(
    platform: FakeTdxPlatform, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("attestation.testing.tdx.pem", lambda _chain: BLOCK.replace("AAAA", text))
    with pytest.raises(MalformedError, match="base64"):
        parse_quote(platform.quote())


def test_a_chain_that_is_too_large(platform: FakeTdxPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attestation.testing.tdx.pem", lambda _chain: "A" * 40000)
    with pytest.raises(MalformedError, match="40001 bytes"):
        parse_quote(platform.quote())


@pytest.mark.parametrize("size", [MAX_SIZE + 1, 1024 * 1024])
def test_too_large_is_refused_at_once(size: int, least_time: Callable[[Callable[[], object]], float]) -> None:
    garbage = QUOTES[4][:632].ljust(size, b"\xff")

    def refuse() -> None:
        with pytest.raises(MalformedError, match="at most"):
            parse_quote(garbage)

    assert least_time(refuse) < 0.01


@given(st.sampled_from(list(QUOTES.values())), st.data())
def test_truncated(quote: bytes, data: st.DataObject) -> None:
    with pytest.raises(MalformedError):
        parse_quote(quote[: data.draw(st.integers(0, len(quote) - 1))])


@given(st.sampled_from(list(QUOTES.values())), st.data())
def test_any_damage_is_malformed_or_read(quote: bytes, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(quote) - 1))
    with suppress(MalformedError):
        parse_quote(damaged(quote, offset, data.draw(st.binary(min_size=1, max_size=8)))[: len(quote)])


@given(st.binary(max_size=2000))
def test_garbage(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_quote(data)


@given(st.integers(0, 2**64 - 1))
def test_every_bit_has_a_name_or_a_number(value: int) -> None:
    raw = value.to_bytes(8, "little")
    for flags in (TdAttributes, Xfam):
        names = flag_names(flags, raw)
        assert len(names) == value.bit_count()
        assert [name for name in names if name.startswith("bit ")] == [f"bit {bit}" for bit in unknown_bits(flags, raw)]


def test_names_of_bits() -> None:
    assert flag_names(TdAttributes, bytes.fromhex("0300001000000000")) == ("DEBUG", "bit 1", "SEPT_VE_DISABLE")
    assert unknown_bits(Xfam, bytes.fromhex("e702060000000000")) == ()
