# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Parsers of TPM structures: on any bytes at all, a record or `MalformedError`."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError
from attestation.testing.tpm import SoftwareTpm
from attestation.tpm.algorithms import Curve, HashAlgorithm, KeyType, SignatureScheme
from attestation.tpm.commands import parse_response
from attestation.tpm.public import ObjectAttributes, name_of, parse_public
from attestation.tpm.quote import parse_quote
from attestation.tpm.signature import parse_signature
from attestation.tpm.structures import PcrSelection
from attestation.tpm.templates import ecc_attestation_key, ecc_endorsement_key, rsa_endorsement_key

if TYPE_CHECKING:
    from collections.abc import Callable

ECC, RSA = SoftwareTpm("ecc"), SoftwareTpm("rsa")
QUOTE = ECC.quote(bytes(32))
RESPONSE = bytes.fromhex("80020000001300000000000000000000010000")

PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "quote": (parse_quote, QUOTE.attest),
    "ecdsa-signature": (parse_signature, QUOTE.signature),
    "rsa-signature": (parse_signature, RSA.quote(bytes(32)).signature),
    "ecc-key": (parse_public, ECC.ak_public),
    "rsa-key": (parse_public, RSA.ak_public),
    "name": (name_of, ECC.ak_public),
    "response": (lambda data: parse_response(data, has_handle=False), RESPONSE),
    "response-with-handle": (lambda data: parse_response(data, has_handle=True), RESPONSE),
}
each_parser = pytest.mark.parametrize("parse,good", PARSERS.values(), ids=PARSERS.keys())


def survives(parse: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        parse(data)


@each_parser
@given(data=st.binary(max_size=600))
def test_garbage(parse: Callable[[bytes], object], good: bytes, data: bytes) -> None:
    survives(parse, data)
    survives(parse, good + data)


@each_parser
@given(data=st.data())
def test_flips(parse: Callable[[bytes], object], good: bytes, data: st.DataObject) -> None:
    changed = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    survives(parse, bytes(changed))


@pytest.mark.parametrize(
    "parse,good", [value for name, value in PARSERS.items() if name != "name"], ids=[n for n in PARSERS if n != "name"]
)
def test_every_truncation_is_refused(parse: Callable[[bytes], object], good: bytes) -> None:
    for size in range(len(good)):
        with pytest.raises(MalformedError, match=r"TPM \w+.* (truncated|bytes|size)"):
            parse(good[:size])


@pytest.mark.parametrize("name", ["quote", "ecdsa-signature", "rsa-signature", "ecc-key", "rsa-key"])
def test_trailing_bytes_are_refused(name: str) -> None:
    parse, good = PARSERS[name]
    parse(good)
    with pytest.raises(MalformedError, match=r"TPM .* bytes"):
        parse(good + b"\0")


@each_parser
@pytest.mark.parametrize("fill", [b"\0", b"\xff", b"\x01\x80"], ids=["zeros", "ones", "pattern"])
def test_a_mebibyte_is_refused_at_once(
    parse: Callable[[bytes], object], good: bytes, fill: bytes, least_time: Callable[[Callable[[], object]], float]
) -> None:
    data = good + fill * (2**20 // len(fill))
    assert least_time(lambda: survives(parse, data)) < 0.01


def test_quote_is_read_as_the_tpm_wrote_it() -> None:
    ECC.event(7, b"something")
    quote = parse_quote(ECC.quote(b"binding", registers=[0, 7, 15]).attest)
    assert quote.extra_data == b"binding"
    assert quote.qualified_signer == name_of(ECC.ak_public)
    assert quote.selections == (PcrSelection(HashAlgorithm.SHA256, 1 << 0 | 1 << 7 | 1 << 15),)
    assert quote.selections[0].registers == (0, 7, 15)
    assert (quote.clock, quote.reset_count, quote.restart_count, quote.safe) == (1000, 1, 0, True)
    assert quote.pcr_digest == HashAlgorithm.SHA256.digest(ECC.pcrs[0] + ECC.pcrs[7] + ECC.pcrs[15])


def attest(selections: bytes, *, extra: bytes = b"", safe: int = 1) -> bytes:
    head = bytes.fromhex("ff544347 8018 0000") + struct.pack(">H", len(extra)) + extra
    return head + struct.pack(">QIIBQ", 1, 2, 3, safe, 4) + selections + b"\0\0"


def test_numbers_of_a_quote_are_read_in_their_order() -> None:
    quote = parse_quote(attest(bytes(4)))
    assert (quote.clock, quote.reset_count, quote.restart_count, quote.safe, quote.firmware_version) == (
        1,
        2,
        3,
        True,
        4,
    )
    assert quote.selections == ()


@pytest.mark.parametrize("banks,width", [(16, 4), (1, 0)])
def test_quotes_at_the_limits_are_read(banks: int, width: int) -> None:
    selection = struct.pack(">HB", HashAlgorithm.SHA256, width) + b"\xff" * width
    quote = parse_quote(attest(struct.pack(">I", banks) + selection * banks))
    assert quote.selections == (PcrSelection(HashAlgorithm.SHA256, (1 << 8 * width) - 1),) * banks


def test_longest_quote_is_read_and_a_longer_one_is_not() -> None:
    room = 1024 - len(attest(bytes(4)))
    assert len(parse_quote(attest(bytes(4), extra=bytes(room))).extra_data) == room
    with pytest.raises(MalformedError, match="at most 1024"):
        parse_quote(attest(bytes(4), extra=bytes(room + 1)))


@pytest.mark.parametrize(
    "data,reason",
    [
        pytest.param(attest(struct.pack(">I", 17)), "17 banks", id="too-many-banks"),
        pytest.param(attest(struct.pack(">IHB", 1, 11, 5) + bytes(5)), "selection of 5 bytes", id="too-many-registers"),
        pytest.param(attest(bytes(4), safe=2), "safe clock is 2", id="neither-safe-nor-unsafe"),
        pytest.param(attest(bytes(4)).replace(b"\x80\x18", b"\x80\x17"), "of type 0x8017", id="certificate-of-a-key"),
    ],
)
def test_quotes_beyond_the_limits_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        parse_quote(data)


@pytest.mark.parametrize(
    "signature,reason",
    [
        pytest.param("001a 000b 0000 0000", "0x001a is not", id="unknown-scheme"),
        pytest.param("0014 0012 0000", "TPM signature: 0x0012 is not a hash", id="unknown-hash"),
        pytest.param("0018 000b 0043" + "01" * 67 + "0001 01", "67 and 1 bytes", id="long-r"),
        pytest.param("0018 000b 0001 01 0043" + "01" * 67, "1 and 67 bytes", id="long-s"),
        pytest.param("0014 000b 0201" + "01" * 513, "519 bytes", id="long-rsa"),
    ],
)
def test_signatures_beyond_the_limits_are_refused(signature: str, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        parse_signature(bytes.fromhex(signature))


@pytest.mark.parametrize(
    "signature", ["0018 000d 0042" + "01" * 66 + "0042" + "01" * 66, "0014 000b 0200" + "01" * 512]
)
def test_signatures_at_the_limits_are_read(signature: str) -> None:
    parse_signature(bytes.fromhex(signature))


def test_public_area_is_read_as_the_tpm_wrote_it() -> None:
    public = parse_public(ECC.ak_public)
    assert public.key_type is KeyType.ECC
    assert public.scheme == SignatureScheme.ECDSA
    assert public.scheme_hash == HashAlgorithm.SHA256
    assert public.symmetric is None
    assert ObjectAttributes.RESTRICTED in public.attributes
    assert public.key.public_numbers() == ECC.public_key.public_numbers()
    assert parse_public(RSA.ak_public).key.public_numbers() == RSA.public_key.public_numbers()


def test_name_needs_a_hash_that_we_compute() -> None:
    with pytest.raises(MalformedError, match="TPM public area: 0x010b"):
        name_of(ECC.ak_public[:2] + b"\x01\x0b" + ECC.ak_public[4:])


def test_unknown_attributes_are_kept() -> None:
    tpm = SoftwareTpm()
    tpm.ak_attributes |= ObjectAttributes(1 << 30)
    assert parse_public(tpm.ak_public).attributes.value & 1 << 30


@pytest.mark.parametrize("template", [ecc_endorsement_key(), rsa_endorsement_key()], ids=["ecc", "rsa"])
def test_template_is_no_key(template: bytes) -> None:
    with pytest.raises(MalformedError, match="no valid"):
        parse_public(template)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(ECC.ak_public[:-1] + bytes([ECC.ak_public[-1] ^ 1]), id="point-not-on-the-curve"),
        pytest.param(ECC.ak_public.replace(b"\x00\x03\x00\x10", b"\x00\x10\x00\x10", 1), id="barreto-naehrig"),
        pytest.param(RSA.ak_public[:-1] + b"\0", id="even-modulus"),
        pytest.param(RSA.ak_public.replace(b"\x08\x00\0\0\0\0", b"\x10\x00\0\0\0\0", 1), id="half-a-modulus"),
        pytest.param(b"\x00\x08" + ECC.ak_public[2:], id="sealed-object"),
        pytest.param(b"\x00\x25" + ECC.ak_public[2:], id="symmetric-key"),
        pytest.param(ECC.ak_public[:2] + b"\x00\x12" + ECC.ak_public[4:], id="name-over-sm3"),
        pytest.param(ECC.ak_public[:8] + b"\x00\x01\x00" + ECC.ak_public[10:], id="policy-of-one-byte"),
    ],
)
def test_keys_that_are_none_are_refused(key: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_public(key)


def key_with_a_short_coordinate() -> ec.EllipticCurvePublicNumbers:
    for secret in range(1, 10_000):
        numbers = ec.derive_private_key(secret, ec.SECP256R1()).public_key().public_numbers()
        if min(numbers.x, numbers.y) < 1 << 248:
            return numbers
    raise AssertionError


def test_coordinates_may_lack_leading_zeros() -> None:
    numbers = key_with_a_short_coordinate()
    x, y = (number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (numbers.x, numbers.y))
    assert min(len(x), len(y)) < 32
    assert parse_public(ecc_attestation_key(x=x, y=y)).key.public_numbers() == numbers


@pytest.mark.parametrize("longer", ["x", "y"])
def test_coordinates_may_not_be_longer_than_the_curve(longer: str) -> None:
    numbers = ECC.public_key.public_numbers()
    assert isinstance(numbers, ec.EllipticCurvePublicNumbers)
    x, y = (
        number.to_bytes(33 if name == longer else 32, "big") for name, number in (("x", numbers.x), ("y", numbers.y))
    )
    with pytest.raises(MalformedError, match="at most 32"):
        parse_public(ecc_attestation_key(x=x, y=y))


def test_curves_know_their_width() -> None:
    assert [curve.coordinate_size for curve in Curve] == [32, 48, 66]
