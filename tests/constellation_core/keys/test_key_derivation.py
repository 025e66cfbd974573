# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Keys derive as the protocol says, and ids have one spelling."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.errors import ConfigError, KeyProviderError
from constellation_core.keys.cluster import ClusterKeyProvider
from constellation_core.keys.derivation import canonical_uuid, cluster_id, derive, mesh_psk, state_disk, volume
from constellation_core.keys.secret import Secret

if TYPE_CHECKING:
    import uuid

DISK = "3f1f5c0e-8a51-4d8e-9a66-0a4f5d8b7c21"
SALT = bytes(range(32, 64))
MASTER = Secret(bytes(range(32)))


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, from its text."""
    key, block, output = hmac.digest(salt, secret, hashlib.sha256), b"", b""
    for counter in range(1, 256):
        block = hmac.digest(key, block + info + bytes([counter]), hashlib.sha256)
        output += block
    return output[:length]


def test_the_reference_is_that_of_the_rfc() -> None:
    """RFC 5869, A.1."""
    salt, info = bytes(range(13)), bytes(range(0xF0, 0xFA))
    assert hkdf(b"\x0b" * 22, salt, info, 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


@pytest.mark.parametrize("key_id", ["measurement-secret", state_disk(DISK), volume(DISK), "s3proxy/kek"])
@pytest.mark.parametrize("length", [16, 32, 64])
def test_a_key_is_derived_as_the_protocol_says(key_id: str, length: int) -> None:
    assert derive(MASTER, SALT, key_id, length).reveal() == hkdf(
        MASTER.reveal(), SALT, b"key-" + key_id.encode(), length
    )


def test_the_id_of_a_cluster_is_computed_as_the_protocol_says() -> None:
    assert cluster_id(MASTER, SALT) == hkdf(MASTER.reveal(), SALT, b"cluster-id", 32)


def test_ids_say_what_the_key_is_for() -> None:
    assert state_disk(DISK) == f"state-disk/{DISK}"
    assert volume(DISK) == f"volume/{DISK}"


@given(st.uuids(allow_nil=True))
def test_a_canonical_uuid_stays_as_it_is(disk: uuid.UUID) -> None:
    assert canonical_uuid(str(disk)) == str(disk)


@pytest.mark.parametrize(
    "text",
    [
        "",
        DISK.upper(),
        DISK.replace("-", ""),
        f"{{{DISK}}}",
        f"urn:uuid:{DISK}",
        f" {DISK}",
        f"{DISK}\n",
        f"{DISK}/",
        f"../{DISK}",
        DISK[:-1],
        DISK[:-1] + "g",
        None,
        7,
    ],
)
def test_another_spelling_is_refused(text: object) -> None:
    with pytest.raises(ConfigError, match="expected a UUID"):
        canonical_uuid(text)  # type: ignore[arg-type]


def test_a_pair_of_nodes_has_one_key_as_the_protocol_says() -> None:
    one, other = bytes([1] * 32), bytes([2] * 32)
    expected = hkdf(MASTER.reveal(), b"", b"mesh-psk" + one + other, 32)
    assert mesh_psk(MASTER, one, other).reveal() == mesh_psk(MASTER, other, one).reveal() == expected


def test_every_pair_has_another_key() -> None:
    nodes = [bytes([number] * 32) for number in range(5)]
    pairs = {mesh_psk(MASTER, one, other).reveal() for one in nodes for other in nodes if one <= other}
    assert len(pairs) == 15


@pytest.mark.parametrize("sizes", [(31, 33), (0, 64), (32, 31)])
def test_a_mesh_key_of_another_size_is_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="expected 32 bytes"):
        mesh_psk(MASTER, bytes(sizes[0]), bytes(sizes[1]))


@given(st.text(max_size=40))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        state_disk(text)


async def test_the_provider_derives() -> None:
    key = await ClusterKeyProvider(MASTER, SALT).data_key(state_disk(DISK), 32)
    assert key == derive(MASTER, SALT, state_disk(DISK), 32)


@pytest.mark.parametrize("length", [-1, 0, 15, 65, 2**31])
async def test_a_length_that_no_key_has_is_refused(length: int) -> None:
    with pytest.raises(KeyProviderError, match="16 to 64 bytes"):
        await ClusterKeyProvider(MASTER, SALT).data_key("measurement-secret", length)
