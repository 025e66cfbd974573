# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The DER reader: what it reads, what it refuses, and that nothing but MalformedError comes out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from attestation.der import MAX_CHILDREN, MAX_SIZE, Element, Tag, parse_der, read_tlv
from attestation.errors import MalformedError


def tlv(tag: int, value: bytes) -> bytes:
    size = len(value)
    length = bytes([size]) if size < 0x80 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + value


def element(tag: int, value: bytes) -> Element:
    return parse_der(tlv(tag, value))


@pytest.mark.parametrize("number", [0, 1, 127, 128, -1, -128, -129, 2**64])
def test_integers(number: int) -> None:
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    assert element(Tag.INTEGER, number.to_bytes(size, "big", signed=True)).integer() == number


@pytest.mark.parametrize("value", [b"", b"\x00\x01", b"\xff\x80"], ids=["empty", "zero in front", "ff in front"])
def test_broken_integers(value: bytes) -> None:
    with pytest.raises(MalformedError):
        element(Tag.INTEGER, value).integer()


@pytest.mark.parametrize("dotted", ["1.2.840.113741.1.13.1", "0.9", "2.100.3", "1.3.6.1.4.1.3704.1.3.8", "2.5.29.19"])
def test_object_identifiers(dotted: str) -> None:
    der = x509.UnrecognizedExtension(x509.ObjectIdentifier(dotted), b"").oid
    name = x509.Name([x509.NameAttribute(der, "x")]).public_bytes()
    attribute = next(next(parse_der(name).children()).children())
    assert next(attribute.children()).oid() == dotted


@pytest.mark.parametrize("value", [b"", b"\x2a\x86", b"\x2a\x80\x01", b"\x2a" * 65])
def test_broken_object_identifiers(value: bytes) -> None:
    with pytest.raises(MalformedError):
        element(Tag.OBJECT_IDENTIFIER, value).oid()


@pytest.mark.parametrize(
    "tag, text, expected",
    [
        (Tag.UTC_TIME, b"491231235959Z", datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (Tag.UTC_TIME, b"500101000000Z", datetime(1950, 1, 1, tzinfo=UTC)),
        (Tag.GENERALIZED_TIME, b"20500228120000Z", datetime(2050, 2, 28, 12, tzinfo=UTC)),
    ],
)
def test_times(tag: Tag, text: bytes, expected: datetime) -> None:
    assert element(tag, text).time() == expected


@pytest.mark.parametrize(
    "tag, text",
    [
        (Tag.UTC_TIME, b"20500228120000Z"),
        (Tag.UTC_TIME, b"491331235959Z"),
        (Tag.UTC_TIME, b"4912312359 9Z"),
        (Tag.UTC_TIME, b"491231235959+"),
        (Tag.GENERALIZED_TIME, b"00000228120000Z"),
        (Tag.GENERALIZED_TIME, b""),
        (Tag.INTEGER, b"1"),
    ],
)
def test_broken_times(tag: Tag, text: bytes) -> None:
    with pytest.raises(MalformedError):
        element(tag, text).time()


def test_strings_and_booleans() -> None:
    assert element(Tag.OCTET_STRING, b"ab").octets() == b"ab"
    assert element(Tag.BIT_STRING, b"\x00ab").bits() == b"ab"
    assert element(Tag.BOOLEAN, b"\xff").boolean()
    assert not element(Tag.BOOLEAN, b"\x00").boolean()


@pytest.mark.parametrize("value", [b"", b"\x01", b"\x00\x00"])
def test_broken_boolean(value: bytes) -> None:
    with pytest.raises(MalformedError):
        element(Tag.BOOLEAN, value).boolean()


@pytest.mark.parametrize("value", [b"", b"\x01\x80"], ids=["empty", "unused bits"])
def test_broken_bit_string(value: bytes) -> None:
    with pytest.raises(MalformedError):
        element(Tag.BIT_STRING, value).bits()


@pytest.mark.parametrize("method", ["integer", "boolean", "octets", "bits", "oid", "time"])
def test_an_element_of_another_kind(method: str) -> None:
    with pytest.raises(MalformedError, match=r"has tag 0x0c, expected 0x\w\w"):
        getattr(element(Tag.UTF8_STRING, b"\x00"), method)()


def test_an_enumerated_is_a_number() -> None:
    assert element(Tag.ENUMERATED, b"\x02").integer() == 2


def test_expect_gives_the_element_itself() -> None:
    sequence = element(Tag.SEQUENCE, b"")
    assert sequence.expect(Tag.SEQUENCE) is sequence
    with pytest.raises(MalformedError, match="certificate has tag 0x30, expected 0x31"):
        sequence.expect(Tag.SET, "certificate")


@pytest.mark.parametrize("number, constructed, tag", [(0, True, 0xA0), (3, True, 0xA3), (6, False, 0x86)])
def test_tags_of_a_structure(number: int, constructed: bool, tag: int) -> None:
    assert Tag.context(number, constructed=constructed) == tag


@pytest.mark.parametrize("size", [0x7F, 0x80, 0xFF, 0x100, 0xFFFF, MAX_SIZE])
def test_lengths(size: int) -> None:
    count = (size.bit_length() + 7) // 8
    length = bytes([size]) if size < 0x80 else bytes([0x80 | count]) + size.to_bytes(count, "big")
    assert len(parse_der(b"\x04" + length + bytes(size)).octets()) == size


def test_children_are_given_in_order_with_their_bytes() -> None:
    one, two = tlv(Tag.INTEGER, b"\x01"), tlv(Tag.OCTET_STRING, b"x" * 300)
    children = list(element(Tag.SEQUENCE, one + two).children())
    assert [child.raw for child in children] == [one, two]


def test_fields_demand_exactly_their_tags() -> None:
    sequence = element(Tag.SEQUENCE, tlv(Tag.INTEGER, b"\x01"))
    assert sequence.fields(Tag.INTEGER)[0].integer() == 1
    for tags in [(), (Tag.OCTET_STRING,), (Tag.INTEGER, Tag.INTEGER)]:
        with pytest.raises(MalformedError, match="holds the tags 0x02"):
            sequence.fields(*tags)


def test_a_primitive_element_has_no_children() -> None:
    with pytest.raises(MalformedError, match="no elements inside"):
        list(element(Tag.OCTET_STRING, b"\x02\x01\x01").children())


def test_children_are_limited() -> None:
    child = tlv(Tag.BOOLEAN, b"\x00")
    assert len(list(element(Tag.SEQUENCE, child * MAX_CHILDREN).children())) == MAX_CHILDREN
    with pytest.raises(MalformedError, match="more than"):
        list(element(Tag.SEQUENCE, child * (MAX_CHILDREN + 1)).children())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80\x00\x00",  # indefinite
        b"\x30\x81\x01\x00",  # long form of a short length
        b"\x30\x82\x00\x80" + bytes(128),  # zero in front
        b"\x30\x84\x00\x00\x00\x00",  # length of four bytes
        b"\x30\x82\x01",  # cut in the length
        b"\x30\x02\x00",  # cut in the value
        b"\x3f\x81\x01\x00",  # tag of several bytes
        b"\x05\x00\x00",  # bytes after the element
        b"\x30\x83\x01\x00\x01" + bytes(0x10001),  # too large
    ],
)
def test_broken_elements(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_der(data)


def test_reading_outside_the_data_is_refused() -> None:
    for offset in (-1, 2, 100):
        with pytest.raises(MalformedError, match="no element"):
            read_tlv(b"\x05\x00", offset)


@given(st.binary(max_size=200))
def test_garbage_is_malformed_or_read_back(data: bytes) -> None:
    try:
        read = parse_der(data)
    except MalformedError:
        return
    assert read.raw == data
    for method in ("integer", "boolean", "octets", "bits", "oid", "time"):
        try:
            getattr(read, method)()
        except MalformedError:
            continue
