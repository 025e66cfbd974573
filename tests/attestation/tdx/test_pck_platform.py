# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Intel's extension of PCK certificates: what it says of real platforms, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import MalformedError
from attestation.roots import VENDOR_ROOTS
from attestation.tdx.chain import verify_chain
from attestation.tdx.pck import SGX_EXTENSION, Platform, parse_sgx_extension
from attestation.tdx.quote import parse_quote
from attestation.testing import der
from attestation.testing.tdx import FakeIntel

if TYPE_CHECKING:
    from collections.abc import Callable

    from attestation.testing.tdx import FakeTdxPlatform

EXTENSION = FakeIntel().platform().sgx_extension()


def field(arc: str, value: bytes) -> bytes:
    return der.sequence(der.oid(f"{SGX_EXTENSION}.{arc}"), value)


def parsed(platform: FakeTdxPlatform) -> Platform:
    return parse_sgx_extension(platform.sgx_extension())


@pytest.mark.parametrize(
    "name, fmspc, ppid, components, smt",
    [
        ("dcap-qvl", "b0c06f000000", "811dca2a", (3, 3, 2, 2, 4, 1, 0, 5), True),
        ("trustee-5", "90c06f000000", "f06984c8", (1, 1, 2, 2, 3, 1, 0, 3), True),
        ("azure", "00806f050000", "a1b0718f", (6, 6, 2, 2, 3, 1, 0, 3), True),
    ],
)
def test_real_platforms(
    recorded: Callable[[str], bytes], name: str, fmspc: str, ppid: str, components: tuple[int, ...], smt: bool
) -> None:
    certificates = parse_quote(recorded(name)).signature.certificates
    platform = verify_chain(certificates, VENDOR_ROOTS.intel).platform
    assert platform.fmspc.hex() == fmspc
    assert platform.ppid.hex().startswith(ppid)
    assert platform.components == components + (0,) * 8
    assert platform.cpu_svn == bytes(platform.components)
    assert platform.smt_enabled is smt
    assert platform.dynamic_platform is True


def test_every_field(platform: FakeTdxPlatform) -> None:
    platform.pce_svn, platform.sgx_type, platform.pce_id = 0x1234, 2, b"\x01\x02"
    read = parsed(platform)
    for name in ("ppid", "components", "pce_svn", "pce_id", "fmspc", "sgx_type", "instance_id", "smt_enabled"):
        assert getattr(read, name) == getattr(platform, name)


def test_a_processor_has_no_instance_and_no_configuration(platform: FakeTdxPlatform) -> None:
    platform.instance_id = None
    read = parsed(platform)
    assert (read.instance_id, read.dynamic_platform, read.cached_keys, read.smt_enabled) == (None,) * 4


def test_fields_of_later_specifications_are_left_aside(platform: FakeTdxPlatform) -> None:
    later = EXTENSION[4:] + field("9", der.octets(b"new"))
    assert parse_sgx_extension(der.sequence(later)) == parsed(platform)


@pytest.mark.parametrize(
    "attribute, value, message",
    [
        ("ppid", bytes(15), "15 bytes, expected 16"),
        ("fmspc", bytes(7), "7 bytes, expected 6"),
        ("pce_id", b"", "0 bytes, expected 2"),
        ("cpu_svn", bytes(17), "17 bytes, expected 16"),
        ("instance_id", bytes(1), "1 bytes, expected 16"),
        ("pce_svn", 0x10000, "65536 is not within 0 to 65535"),
        ("components", (256,) + (0,) * 15, "256 is not within 0 to 255"),
        ("components", (0,) * 15, r"13\.1\.2\.16 is missing"),
    ],
)
def test_values_out_of_range(platform: FakeTdxPlatform, attribute: str, value: object, message: str) -> None:
    setattr(platform, attribute, value)
    with pytest.raises(MalformedError, match=message):
        parsed(platform)


@pytest.mark.parametrize(
    "extension",
    [
        b"",
        der.octets(b""),
        der.sequence(der.octets(b"")),
        der.sequence(der.sequence(der.oid(SGX_EXTENSION))),
        der.sequence(der.sequence(der.octets(b""), der.octets(b""))),
        der.sequence(EXTENSION[4:] + field("1", der.octets(bytes(16)))),
        EXTENSION + b"\0",
    ],
    ids=["nothing", "no sequence", "no pair", "name only", "no name", "twice", "bytes behind"],
)
def test_broken_extensions(extension: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_sgx_extension(extension)


def test_a_name_that_is_no_object_identifier() -> None:
    name = der.oid(f"{SGX_EXTENSION}.1")
    with pytest.raises(MalformedError, match="not a pair of name and value"):
        parse_sgx_extension(EXTENSION.replace(name, b"\x04" + name[1:], 1))


def test_the_highest_versions(platform: FakeTdxPlatform) -> None:
    platform.pce_svn, platform.components = 0xFFFF, (255,) * 16
    assert parsed(platform).pce_svn == 0xFFFF


@pytest.mark.parametrize("arc", ["1", "2", "3", "4", "5", "2.1", "2.17", "2.18"])
def test_a_missing_field(arc: str) -> None:
    name = der.oid(f"{SGX_EXTENSION}.{arc}")
    renamed = EXTENSION.replace(name, name[:-1] + b"\x63", 1)
    with pytest.raises(MalformedError, match="is missing"):
        parse_sgx_extension(renamed)


@given(st.integers(0, len(EXTENSION) - 1), st.binary(min_size=1, max_size=4), st.integers(0, len(EXTENSION)))
def test_any_damage_is_malformed_or_read(offset: int, value: bytes, end: int) -> None:
    with suppress(MalformedError):
        parse_sgx_extension((EXTENSION[:offset] + value + EXTENSION[offset + len(value) :])[:end])
    with suppress(MalformedError):
        parse_sgx_extension(EXTENSION[:offset] + value + EXTENSION[offset + len(value) :])
