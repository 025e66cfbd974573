# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What evidence signs, computed a second time, and that every part of it matters."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from constellation_core.channel.binding import Role, TlsFacts
from constellation_core.channel.lanes import Lane

FACTS = TlsFacts(exporter=b"e" * 32, server_key=b"key")
NONCES = {"nonce_of_peer": b"p" * 32, "own_nonce": b"o" * 32}


def test_the_bytes_are_those_of_the_protocol() -> None:
    parts = (b"constellation-attest/1", b"client", b"p" * 32, b"o" * 32, b"e" * 32, hashlib.sha256(b"key").digest())
    lengths = (22, 6, 32, 32, 32, 32)
    written = b"".join(bytes((0, 0, 0, length)) + part for length, part in zip(lengths, parts, strict=True))
    assert FACTS.binding(Role.CLIENT, **NONCES) == hashlib.sha256(written).digest()


@pytest.mark.parametrize(
    "other",
    [
        FACTS.binding(Role.SERVER, **NONCES),
        FACTS.binding(Role.CLIENT, nonce_of_peer=b"o" * 32, own_nonce=b"p" * 32),
        FACTS.binding(Role.CLIENT, nonce_of_peer=b"p" * 33, own_nonce=b"o" * 31),
        replace(FACTS, exporter=b"f" * 32).binding(Role.CLIENT, **NONCES),
        replace(FACTS, server_key=b"another").binding(Role.CLIENT, **NONCES),
    ],
)
def test_every_part_matters(other: bytes) -> None:
    assert other != FACTS.binding(Role.CLIENT, **NONCES)


@pytest.mark.parametrize(
    "one, other",
    [
        ("2001:db8::1", "2001:db8::ffff:2"),
        ("fe80::1%eth0", "fe80::2%eth1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_what_one_owner_may_choose_is_one_lane(one: str, other: str) -> None:
    assert Lane.of(one) == Lane.of(other)


@pytest.mark.parametrize(
    "one, other", [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1"), ("a socket", "another")]
)
def test_others_have_other_lanes(one: str, other: str) -> None:
    assert Lane.of(one) != Lane.of(other)
