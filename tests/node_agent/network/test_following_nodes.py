# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whoever follows the cluster sees what changes, notices when it no longer does, and forgets nothing meanwhile."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.testing.watching import until
from node_agent import https
from node_agent.errors import TemporaryError
from node_agent.https import Connection
from node_agent.network import following
from node_agent.network.api_server import ApiServer, read_address
from node_agent.network.claims import PodRange
from node_agent.network.following import Follower
from tests.node_agent.network.fake_api_server import Kubelet, kubelet_of_fake_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATH: Final = "/api/v1/nodes"


def node(number: int, pods: str | None = None) -> dict[str, Any]:
    network = pods if pods is not None else f"10.244.{number}.0/24"
    metadata = {"name": f"node-{number}", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {"podCIDR": network}}


@pytest.fixture
async def kubelet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kubelet]:
    monkeypatch.setattr(following, "PAUSES", (0.01,))
    async with kubelet_of_fake_server(tmp_path) as made:
        yield made


@asynccontextmanager
async def following_nodes(kubelet: Kubelet) -> AsyncIterator[Follower[PodRange]]:
    follower = Follower(ApiServer(kubelet.kubeconfig, kubelet.certificate), PATH, PodRange.from_object, lambda: None)
    running = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def seen(follower: Follower[PodRange]) -> set[str]:
    return {found.node for found in follower.records or ()}


async def test_what_is_there_and_what_changes_is_seen(kubelet: Kubelet) -> None:
    kubelet.server.put(PATH, node(1))
    async with following_nodes(kubelet) as follower:
        await until(lambda: seen(follower) == {"node-1"})
        kubelet.server.put(PATH, node(2, ""))
        await until(lambda: seen(follower) == {"node-1", "node-2"})
        kubelet.server.put(PATH, node(2))
        await until(lambda: all(found.network for found in follower.records or ()))
        kubelet.server.delete(PATH, "node-1")
        await until(lambda: seen(follower) == {"node-2"})
        assert follower.missing is None


async def test_nothing_is_known_before_anything_was_read(kubelet: Kubelet) -> None:
    kubelet.server.status = 503
    async with following_nodes(kubelet) as follower:
        await until(lambda: kubelet.server.requests)
        assert follower.records is None
        await until(lambda: "it is 503" in (follower.missing or ""))


async def test_many_are_read_in_pages(kubelet: Kubelet) -> None:
    kubelet.server.page = 3
    for number in range(10):
        kubelet.server.put(PATH, node(number))
    async with following_nodes(kubelet) as follower:
        await until(lambda: len(seen(follower)) == 10)
    assert len([target for target in kubelet.server.requests if "continue" in target]) == 3


async def test_a_watch_goes_on_where_it_ended_on_the_same_connection(kubelet: Kubelet) -> None:
    kubelet.server.bookmarks = True
    async with following_nodes(kubelet) as follower:
        await until(lambda: len(kubelet.server.requests) == 2)
        await until(lambda: follower.records is not None)
        kubelet.server.end_watches()
        await until(lambda: len(kubelet.server.requests) == 3)
    assert "resourceVersion=7" in kubelet.server.requests[-1]


async def test_a_silent_watch_is_noticed(kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch) -> None:
    kubelet.server.put(PATH, node(1))
    async with following_nodes(kubelet) as follower:
        await until(lambda: seen(follower) == {"node-1"})
        monkeypatch.setattr(following, "STALE", 0.05)
        await until(lambda: "nothing heard for" in (follower.missing or ""))
        assert seen(follower) == {"node-1"}


async def test_a_silent_watch_is_given_up(kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "SILENCE", 0.05)
    kubelet.server.silent = True
    async with following_nodes(kubelet) as follower:
        await until(lambda: follower.records == [])
        kubelet.server.put(PATH, node(1))  # the watch does not tell
        await until(lambda: seen(follower) == {"node-1"})


async def test_bookmarks_are_life(kubelet: Kubelet) -> None:
    async with following_nodes(kubelet) as follower:
        await until(lambda: follower.records == [])
        before = follower._last
        kubelet.server.bookmarks = True
        kubelet.server.end_watches()
        await until(lambda: follower._last != before)


async def test_errors_and_broken_connections_empty_nothing(kubelet: Kubelet) -> None:
    kubelet.server.put(PATH, node(1))
    async with following_nodes(kubelet) as follower:
        await until(lambda: seen(follower) == {"node-1"})
        kubelet.server.status = 500
        kubelet.server.end_watches()
        await until(lambda: len(kubelet.server.requests) > 5)
        assert seen(follower) == {"node-1"}
        kubelet.server.status = 200
        kubelet.server.put(PATH, node(2))
        await until(lambda: seen(follower) == {"node-1", "node-2"})


async def test_what_is_too_old_is_read_again(kubelet: Kubelet) -> None:
    kubelet.server.forgetful = True
    kubelet.server.put(PATH, node(1))
    async with following_nodes(kubelet) as follower:
        await until(lambda: len([target for target in kubelet.server.requests if "limit" in target]) > 2)
        assert seen(follower) == {"node-1"}


async def test_everything_is_read_again_now_and_then(kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "RESYNC", 0.0)
    async with following_nodes(kubelet):
        await until(lambda: len([target for target in kubelet.server.requests if "limit" in target]) > 2)


async def test_an_object_that_cannot_be_read_is_left_out(kubelet: Kubelet) -> None:
    kubelet.server.put(PATH, node(1, "nonsense"))
    kubelet.server.put(PATH, node(2))
    async with following_nodes(kubelet) as follower:
        await until(lambda: seen(follower) == {"node-2"})


async def test_another_authority_is_refused(kubelet: Kubelet, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with kubelet_of_fake_server(other) as stranger:
        record = json.loads(kubelet.kubeconfig.read_text())
        theirs = json.loads(stranger.kubeconfig.read_text())
        record["clusters"][0]["cluster"]["server"] = theirs["clusters"][0]["cluster"]["server"]
        kubelet.kubeconfig.write_text(json.dumps(record))
        with pytest.raises(TemporaryError, match="API server: cannot connect"):
            async with ApiServer(kubelet.kubeconfig, kubelet.certificate).connection():
                pass
    assert stranger.server.requests == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "clusters: []",
        "clusters: [{cluster: {server: 7}}]",
        "clusters: [{cluster: {server: 'https://a:x', certificate-authority-data: ''}}]",
        "clusters: [{cluster: {server: 'https://a', certificate-authority-data: '!'}}]",
        "clusters: [{cluster: {server: 'http://a', certificate-authority-data: ''}}]",
        "clusters: [{cluster: {server: 'https://', certificate-authority-data: ''}}]",
        "clusters: [{cluster: {server: 'https://a', certificate-authority: /missing}}]",
    ],
)
def test_a_kubeconfig_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubelet.conf"
    path.write_text(text)
    with pytest.raises(TemporaryError, match=r"kubeconfig|https|cannot read"):
        read_address(path)


def test_a_kubeconfig_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match="cannot read"):
        read_address(tmp_path / "kubelet.conf")


class Nowhere(asyncio.Transport):
    """Takes all bytes."""

    def write(self, data: object) -> None:
        del data

    def is_closing(self) -> bool:
        return True


async def answer(data: bytes) -> object:
    """Read an answer of an API server that says what it likes."""
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    loop = asyncio.get_running_loop()
    writer = asyncio.StreamWriter(Nowhere(), asyncio.StreamReaderProtocol(reader), reader, loop)
    return await Connection(reader, writer, host="host:1", who="API server").get("/")


BODY: Final = b'{"kind": "List", "items": []}'
GOOD: Final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


async def test_a_good_answer_is_read() -> None:
    assert await answer(GOOD) == {"kind": "List", "items": []}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n[7]\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnone",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 500 -\r\nContent-Length: 2\r\n\r\n[]",
    ],
)
async def test_a_bad_answer_is_refused(data: bytes) -> None:
    with pytest.raises(TemporaryError):
        await answer(data)


@given(st.binary(max_size=200) | st.integers(0, len(GOOD)).map(lambda size: GOOD[:size]))
def test_any_answer_is_read_or_refused(data: bytes) -> None:
    try:
        asyncio.run(answer(data))
    except TemporaryError:
        return
    assert data.startswith(b"HTTP/1.")


async def test_an_endless_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "LARGEST", 10)
    with pytest.raises(TemporaryError, match="at most 10 bytes"):
        await answer(GOOD)
