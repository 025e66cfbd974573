# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Keys that AWS KMS wraps: the same for ever, bound to their id and cluster, and nothing of them in logs or errors."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import socket
import subprocess
import sys
import traceback
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from botocore.session import get_session
from moto.server import ThreadedMotoServer

from attestation.errors import MissingExtraError
from constellation_core.errors import ConfigError, KeyProviderError, KeyProviderUnavailableError
from constellation_core.keys.aws_kms import HINTS, UNAVAILABLE, AwsKmsProvider, _refusal
from constellation_core.keys.derivation import MEASUREMENT_SECRET, state_disk
from constellation_core.keys.key_material import KeyMaterial
from constellation_core.keys.kubernetes_store import KubernetesKeyStore
from constellation_core.keys.opening import open_provider
from constellation_core.keys.uri import AwsKey, ProviderUri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from constellation_core.keys.provider import KeyProvider, WrappedKeyStore
    from constellation_engine.testing.control_plane import ControlPlane

REGION = "eu-central-1"
DISK = state_disk("3f1f5c0e-8a51-4d8e-9a66-0a4f5d8b7c21")
OTHER_DISK = state_disk("9b2d7c11-0c55-4a7e-8f0e-5d1a3b6c7d8e")
SALT = b"\x01" * 32


class MemoryStore(dict[str, bytes]):
    """A `WrappedKeyStore`."""

    async def read(self, key_id: str) -> bytes | None:
        return self.get(key_id)

    async def create(self, key_id: str, wrapped: bytes) -> bytes:
        return self.setdefault(key_id, wrapped)


@dataclass
class Cloud:
    """AWS KMS on loopback, with one key; a store for wrapped keys; and what opens providers."""

    endpoint: str
    administrator: Any
    key: str
    resources: AsyncExitStack
    store: WrappedKeyStore
    kept: MemoryStore

    def new_key(self) -> str:
        return str(self.administrator.create_key()["KeyMetadata"]["KeyId"])

    async def provider(self, key: str = "", salt: bytes = SALT) -> KeyProvider:
        uri = f"awskms://{REGION}/{key or self.key}?endpoint={quote(self.endpoint, safe='')}"
        material = KeyMaterial(ProviderUri.parse(uri), salt)
        return await self.resources.enter_async_context(open_provider(material, self.store))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def administrator(endpoint: str) -> Iterator[Any]:
    secret = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    client = get_session().create_client("kms", region_name=REGION, endpoint_url=endpoint, **secret)
    yield client
    client.close()


@pytest.fixture
async def cloud(endpoint: str, administrator: object, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cloud]:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    store = MemoryStore()
    async with AsyncExitStack() as resources:
        cloud = Cloud(endpoint, administrator, "", resources, store, store)
        cloud.key = cloud.new_key()
        yield cloud


@pytest.mark.parametrize("length", [16, 32, 64])
async def test_a_key_is_made_once_and_has_its_length(cloud: Cloud, length: int) -> None:
    key = await (await cloud.provider()).data_key(DISK, length)
    again = await (await cloud.provider()).data_key(DISK, length)
    assert key == again
    assert len(key.reveal()) == length


async def test_keys_are_random(cloud: Cloud) -> None:
    provider = await cloud.provider()
    assert await provider.data_key(DISK, 32) != await provider.data_key(OTHER_DISK, 32)


async def test_what_is_kept_is_not_the_key(cloud: Cloud) -> None:
    key = await (await cloud.provider()).data_key(DISK, 32)
    assert key.reveal() not in cloud.kept[DISK]


async def test_many_first_requests_give_the_same_key(cloud: Cloud) -> None:
    one, other = await cloud.provider(), await cloud.provider()
    keys = await asyncio.gather(*(provider.data_key(DISK, 32) for provider in (one, other) for _ in range(10)))
    assert all(key == keys[0] for key in keys)
    assert len(cloud.kept) == 1


async def test_two_key_services_that_ask_at_once_agree(cloud: Cloud, clean_cluster: ControlPlane) -> None:
    async with clean_cluster.async_client() as client:
        cloud.store = KubernetesKeyStore(client)
        one, other = await cloud.provider(), await cloud.provider()
        keys = await asyncio.gather(*(provider.data_key(DISK, 32) for provider in (one, other) for _ in range(5)))
        assert all(key == keys[0] for key in keys)
        assert await one.data_key(DISK, 32) == keys[0]


async def test_a_wrapped_key_does_not_open_under_another_id(cloud: Cloud) -> None:
    provider = await cloud.provider()
    await provider.data_key(DISK, 32)
    cloud.kept[OTHER_DISK] = cloud.kept[DISK]
    with pytest.raises(KeyProviderError, match="InvalidCiphertext") as caught:
        await provider.data_key(OTHER_DISK, 32)
    assert "wrapped for another id" in caught.value.hint


async def test_a_wrapped_key_does_not_open_in_another_cluster(cloud: Cloud) -> None:
    await (await cloud.provider()).data_key(MEASUREMENT_SECRET, 32)
    other_cluster = await cloud.provider(salt=b"\x02" * 32)
    with pytest.raises(KeyProviderError, match="InvalidCiphertext"):
        await other_cluster.data_key(MEASUREMENT_SECRET, 32)


async def test_what_another_key_wrapped_is_refused(cloud: Cloud) -> None:
    provider, attackers = await cloud.provider(), cloud.new_key()
    await (await cloud.provider(key=attackers)).data_key(DISK, 32)
    with pytest.raises(KeyProviderError, match=r"IncorrectKey|AccessDenied"):  # moto says the second
        await provider.data_key(DISK, 32)


@pytest.mark.parametrize("place", [0, 40, -1])
async def test_a_damaged_wrapped_key_is_refused(cloud: Cloud, place: int) -> None:
    provider = await cloud.provider()
    await provider.data_key(DISK, 32)
    damaged = bytearray(cloud.kept[DISK])
    damaged[place] ^= 1
    cloud.kept[DISK] = bytes(damaged)
    with pytest.raises(KeyProviderError):
        await provider.data_key(DISK, 32)


async def test_another_length_than_the_first_is_refused(cloud: Cloud) -> None:
    provider = await cloud.provider()
    await provider.data_key(DISK, 32)
    with pytest.raises(KeyProviderError, match="this key has 32 bytes since it was made, asked for were 64"):
        await provider.data_key(DISK, 64)


@pytest.mark.parametrize("length", [0, 15, 65])
async def test_a_length_that_no_key_has_is_refused(cloud: Cloud, length: int) -> None:
    with pytest.raises(KeyProviderError, match="16 to 64 bytes"):
        await (await cloud.provider()).data_key(DISK, length)
    assert cloud.kept == {}


async def test_a_key_can_be_named_by_an_alias(cloud: Cloud) -> None:
    alias = f"alias/constellation-{cloud.key}"
    cloud.administrator.create_alias(AliasName=alias, TargetKeyId=cloud.key)
    by_alias = await (await cloud.provider(key=alias)).data_key(DISK, 32)
    assert by_alias == await (await cloud.provider()).data_key(DISK, 32)


@pytest.mark.parametrize("code", sorted(HINTS))
def test_a_refusal_says_what_to_do(code: str) -> None:
    error = _refusal(AwsKey(REGION, "alias/x"), DISK, {"Code": code})
    assert not isinstance(error, KeyProviderUnavailableError)
    assert (code in str(error), error.hint) == (True, HINTS[code])


@pytest.mark.parametrize("code", sorted(UNAVAILABLE))
def test_what_passes_may_be_asked_again(code: str) -> None:
    assert isinstance(_refusal(AwsKey(REGION, "alias/x"), DISK, {"Code": code}), KeyProviderUnavailableError)


async def test_a_key_that_does_not_exist_is_refused(cloud: Cloud) -> None:
    provider = await cloud.provider(key="12345678-90ab-cdef-1234-567890abcdef")
    with pytest.raises(KeyProviderError, match="NotFound") as caught:
        await provider.data_key(DISK, 32)
    assert "check region and key" in caught.value.hint


async def test_a_service_that_cannot_be_reached_may_be_asked_again(cloud: Cloud) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        cloud.endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(KeyProviderUnavailableError, match="cannot be reached"):
        await (await cloud.provider()).data_key(DISK, 32)


async def test_without_credentials_it_says_so(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(KeyProviderError, match="cannot be used") as caught:
        await (await cloud.provider()).data_key(DISK, 32)
    assert "credentials" in caught.value.hint


async def test_a_log_of_everything_does_not_show_the_key(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    provider = await cloud.provider()
    key = await provider.data_key(DISK, 32)
    await provider.data_key(DISK, 32)
    written = caplog.text + repr([vars(record) for record in caplog.records])
    assert base64.b64encode(key.reveal()).decode() not in written
    assert repr(key.reveal())[2:-1] not in written


async def test_an_error_after_the_key_was_made_does_not_show_it(cloud: Cloud) -> None:
    class Full:
        async def read(self, _key_id: str) -> None:
            return None

        async def create(self, _key_id: str, _wrapped: bytes) -> bytes:
            raise KeyProviderError("the store is full")

    cloud.store = Full()
    with pytest.raises(KeyProviderError, match="full") as caught:
        await (await cloud.provider()).data_key(DISK, 32)
    error = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "plain=<secret>" in "".join(error.format())


async def test_it_needs_a_store() -> None:
    material = KeyMaterial(ProviderUri.parse(f"awskms://{REGION}/alias/x"), SALT)
    with pytest.raises(ConfigError, match="a place for wrapped keys"):
        async with open_provider(material):
            pass


def test_its_library_is_loaded_by_who_uses_it_only() -> None:
    script = "import sys, constellation_core.keys.opening; print('botocore' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"


def test_without_its_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.config", None)
    with pytest.raises(MissingExtraError, match="botocore") as caught:
        AwsKmsProvider(AwsKey(REGION, "alias/x"), MemoryStore(), SALT)
    assert "[aws]" in caught.value.hint
