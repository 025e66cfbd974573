# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Wrapped keys in a real cluster: kept once, read exactly, and what somebody else put there is refused."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Secret

from constellation_core.errors import KeyProviderError, KeyProviderUnavailableError
from constellation_core.keys.derivation import state_disk
from constellation_core.keys.kubernetes_store import FIELD, KEY_ID, TYPE, KubernetesKeyStore, object_name
from constellation_core.names import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lightkube import AsyncClient

    from constellation_engine.testing.control_plane import ControlPlane

DISK = state_disk("3f1f5c0e-8a51-4d8e-9a66-0a4f5d8b7c21")
WRAPPED = bytes(range(256))


@pytest.fixture
async def client(clean_cluster: ControlPlane) -> AsyncIterator[AsyncClient]:
    async with clean_cluster.async_client() as client:
        yield client


@pytest.fixture
def store(client: AsyncClient) -> KubernetesKeyStore:
    return KubernetesKeyStore(client)


async def test_there_is_nothing_at_first(store: KubernetesKeyStore) -> None:
    assert await store.read(DISK) is None


async def test_what_was_created_is_read(store: KubernetesKeyStore) -> None:
    assert await store.create(DISK, WRAPPED) == WRAPPED
    assert await store.read(DISK) == WRAPPED


async def test_the_first_one_stays(store: KubernetesKeyStore) -> None:
    await store.create(DISK, WRAPPED)
    assert await store.create(DISK, b"another") == WRAPPED
    assert await store.read(DISK) == WRAPPED


async def test_of_many_at_once_all_get_the_one_that_is_kept(store: KubernetesKeyStore) -> None:
    kept = await asyncio.gather(*(store.create(DISK, b"key %d" % number) for number in range(20)))
    assert set(kept) == {await store.read(DISK)}


async def test_ids_that_look_alike_have_objects_of_their_own(store: KubernetesKeyStore) -> None:
    await store.create("a/b", b"one")
    await store.create("a-b", b"other")
    assert (await store.read("a/b"), await store.read("a-b")) == (b"one", b"other")


async def test_the_object_cannot_be_changed(store: KubernetesKeyStore, client: AsyncClient) -> None:
    await store.create(DISK, WRAPPED)
    kept = await client.get(Secret, object_name(DISK), namespace=NAMESPACE)
    assert (kept.immutable, kept.type) == (True, TYPE)


def secret(**changes: object) -> Secret:
    fields: dict[str, object] = {"type": TYPE, "data": {FIELD: base64.b64encode(WRAPPED).decode()}, **changes}
    metadata = ObjectMeta(name=object_name(DISK), namespace=NAMESPACE, annotations={KEY_ID: DISK})
    return Secret(**{"metadata": metadata, **fields})  # type: ignore[arg-type]


async def test_the_object_of_this_test_is_read(store: KubernetesKeyStore, client: AsyncClient) -> None:
    await client.create(secret())
    assert await store.read(DISK) == WRAPPED


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "Opaque"},
        {"data": {}},
        {"data": {"other": "AA=="}},
        {"metadata": ObjectMeta(name=object_name(DISK), namespace=NAMESPACE)},
        {"metadata": ObjectMeta(name=object_name(DISK), namespace=NAMESPACE, annotations={KEY_ID: "other"})},
    ],
)
async def test_an_object_that_is_something_else_is_refused(
    store: KubernetesKeyStore, client: AsyncClient, wrong: dict[str, object]
) -> None:
    await client.create(secret(**wrong))
    with pytest.raises(KeyProviderError, match=object_name(DISK)):
        await store.read(DISK)
    with pytest.raises(KeyProviderError, match=object_name(DISK)):
        await store.create(DISK, WRAPPED)


async def test_a_client_that_may_not_is_told_what_it_needs(clean_cluster: ControlPlane) -> None:
    async with clean_cluster.async_client(clean_cluster.kubeconfig("nobody")) as client:
        store = KubernetesKeyStore(client)
        with pytest.raises(KeyProviderError, match="cannot read") as caught:
            await store.read(DISK)
        assert "get and create Secrets" in caught.value.hint
        with pytest.raises(KeyProviderError, match="cannot write"):
            await store.create(DISK, WRAPPED)


async def test_a_namespace_that_is_gone_is_no_key(client: AsyncClient) -> None:
    with pytest.raises(KeyProviderError, match="cannot write"):
        await KubernetesKeyStore(client, "missing").create(DISK, WRAPPED)


async def test_an_api_server_that_is_away_may_be_asked_again(clean_cluster: ControlPlane) -> None:
    kubeconfig = clean_cluster.kubeconfig("elsewhere")
    away = kubeconfig.with_name("away.yaml")
    away.write_text(kubeconfig.read_text().replace(clean_cluster.url, "https://127.0.0.1:1"))
    async with clean_cluster.async_client(away) as client:
        with pytest.raises(KeyProviderUnavailableError, match="cannot read"):
            await KubernetesKeyStore(client).read(DISK)
