# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The client of the key service: waits for a service that is away, never longer than it may, and trusts nobody else."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
import traceback
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from grpclib.server import Server

from constellation_core.errors import KeyProviderError, KeyProviderUnavailableError
from constellation_core.keys import client as client_module
from constellation_core.keys.client import KeyServiceClient, _pauses, _retry_after
from constellation_engine.testing.pki import Authority
from constellation_proto.keys_grpc import KeysBase
from constellation_proto.keys_pb2 import GetDataKeyRequest, GetDataKeyResponse
from constellation_services.keys.service import Settings
from constellation_services.testing.key_service import HOST, RunningKeyService, expected_key, running_key_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from grpclib.server import Stream
    from lightkube import AsyncClient

    from constellation_engine.testing.control_plane import ControlPlane

    Tokens = Callable[[str], str]

DISK = "state-disk/3f1f5c0e-8a51-4d8e-9a66-0a4f5d8b7c21"


async def test_one_connection_carries_many_requests(service: RunningKeyService, token_of: Tokens) -> None:
    async with service.client(token_of("join-service")) as keys:
        given = await asyncio.gather(*(keys.data_key(DISK, 32) for _ in range(200)))
        assert all(key == expected_key(DISK) for key in given)


async def test_it_waits_for_a_service_that_restarts(
    api: AsyncClient, control_plane: ControlPlane, tmp_path: Path, token_of: Tokens, free_port: int
) -> None:
    settings = replace(Settings(), grace=0.0)
    (tmp_path / "token").write_text(token_of("join-service"))
    async with KeyServiceClient(HOST, free_port, control_plane.ca_file, tmp_path / "token") as keys:
        for _ in range(2):
            asked = asyncio.create_task(keys.data_key(DISK, 32))
            await asyncio.sleep(0)
            async with running_key_service(api, control_plane.pki, tmp_path, settings=settings, port=free_port):
                assert await asked == expected_key(DISK)


@pytest.fixture
def free_port() -> int:
    from constellation_engine.testing.programs import free_port  # noqa: PLC0415 - of the same name

    return free_port()


async def test_a_token_that_was_replaced_is_used(service: RunningKeyService, token_of: Tokens, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("a.b.c")
    async with KeyServiceClient(HOST, service.listening.port, service.pki / "ca.crt", token_file) as keys:
        with pytest.raises(KeyProviderError, match="UNAUTHENTICATED"):
            await keys.data_key(DISK, 32)
        token_file.write_text(token_of("join-service") + "\n")
        assert await keys.data_key(DISK, 32) == expected_key(DISK)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Folder with an authority, a server's certificate by it, and a token."""
    Authority.create(tmp_path / "ca", "kubernetes").certify(tmp_path / "server", "server", server=True)
    (tmp_path / "token").write_text("a.b.c")
    return tmp_path


def client_of(port: int, folder: Path, timeout: float = 2.0) -> KeyServiceClient:
    return KeyServiceClient(HOST, port, folder / "ca.crt", folder / "token", server_name="localhost", timeout=timeout)


class Answers(KeysBase):
    """A key service that answers anything."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    async def GetDataKey(self, stream: Stream[GetDataKeyRequest, GetDataKeyResponse]) -> None:  # noqa: N802
        await stream.recv_message()
        await stream.send_message(GetDataKeyResponse(key=self.answer))


@pytest.fixture
def tls(authority: Path) -> ssl.SSLContext:
    """What the server of these tests speaks."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority / "server.crt", authority / "server.key")
    context.set_alpn_protocols(["h2"])
    return context


@pytest.fixture
async def answers(tls: ssl.SSLContext, free_port: int) -> AsyncIterator[Answers]:
    answers = Answers(b"k" * 32)
    server = Server([answers])
    await server.start(HOST, free_port, ssl=tls)
    yield answers
    server.close()
    await server.wait_closed()


async def test_a_key_of_its_length_is_taken(answers: Answers, authority: Path, free_port: int) -> None:
    async with client_of(free_port, authority) as keys:
        assert (await keys.data_key(DISK, 32)).reveal() == answers.answer


@pytest.mark.parametrize("length", [0, 31, 33])
async def test_a_key_of_another_length_is_refused_and_not_shown(
    answers: Answers, authority: Path, free_port: int, length: int
) -> None:
    answers.answer = b"0123456789abcdef"[:length] + b"-not-shown-at-all"[: max(0, length - 16)]
    async with client_of(free_port, authority) as keys:
        with pytest.raises(KeyProviderError, match="did not answer with a key of 32 bytes") as caught:
            await keys.data_key(DISK, 32)
    error = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame.locals for frame in error.stack if "/constellation_core/keys/client" in frame.filename]
    assert frames
    assert "0123456789abcdef" not in repr(frames)


@pytest.mark.parametrize("length", [0, 15, 65])
async def test_a_length_that_no_key_has_is_not_asked_for(authority: Path, length: int) -> None:
    async with client_of(1, authority) as keys:
        with pytest.raises(KeyProviderError, match="16 to 64 bytes"):
            await keys.data_key(DISK, length)


async def test_a_service_that_never_answers_is_given_up_in_time(
    authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ATTEMPT_TIMEOUT", 0.2)
    start = time.monotonic()
    with socket.create_server((HOST, 0)) as silent:
        async with client_of(silent.getsockname()[1], authority, timeout=1.0) as keys:
            with pytest.raises(KeyProviderUnavailableError, match="TimeoutError"):
                await keys.data_key(DISK, 32)
        for _ in range(2):  # it tried more than once
            silent.accept()[0].close()
    assert time.monotonic() - start < 3


async def test_a_service_that_is_away_is_given_up_in_time(authority: Path, free_port: int) -> None:
    async with client_of(free_port, authority, timeout=0.5) as keys:
        with pytest.raises(KeyProviderUnavailableError, match=f"127.0.0.1:{free_port}"):
            await keys.data_key(DISK, 32)


@pytest.mark.usefixtures("answers")
async def test_a_service_that_speaks_tls_1_2_is_not_asked(authority: Path, free_port: int, tls: ssl.SSLContext) -> None:
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    async with client_of(free_port, authority, timeout=0.3) as keys:
        with pytest.raises(KeyProviderUnavailableError):
            await keys.data_key(DISK, 32)


@pytest.mark.parametrize("content", [None, "tökén"])
async def test_without_a_token_it_says_what_to_mount(authority: Path, content: str | None) -> None:
    (authority / "token").unlink()
    if content:
        (authority / "token").write_text(content)
    async with client_of(1, authority) as keys:
        with pytest.raises(KeyProviderError, match="cannot read the token") as caught:
            await keys.data_key(DISK, 32)
    assert "audience constellation-keys" in caught.value.hint


@pytest.mark.parametrize("content", [None, "nonsense"])
async def test_without_an_authority_it_says_which_file(authority: Path, content: str | None) -> None:
    (authority / "ca.crt").unlink()
    if content:
        (authority / "ca.crt").write_text(content)
    async with client_of(1, authority) as keys:
        with pytest.raises(KeyProviderError, match=r"cannot read the cluster's authority .*ca\.crt"):
            await keys.data_key(DISK, 32)


@pytest.mark.parametrize(
    "said, seconds",
    [("250", 0.25), ("0", 0.0), ("999999999", 2.0), ("-1", 0.0), ("1e3", 0.0), ("9" * 5000, 0.0), ("", 0.0)],
    ids=str,
)
def test_it_comes_back_when_it_is_told_to(said: str, seconds: float) -> None:
    assert _retry_after({client_module.RETRY_AFTER: said}) == seconds


def test_pauses_grow_and_differ() -> None:
    pauses = list(islice(_pauses(), 12))
    assert 0.05 <= pauses[0] <= 0.15
    assert all(1.0 <= pause <= 3.0 for pause in pauses[6:])
    assert len(set(pauses)) == 12
