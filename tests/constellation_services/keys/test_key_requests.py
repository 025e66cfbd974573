# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is asked for, what comes of it, and what is written and counted about it."""

from __future__ import annotations

import asyncio
import io
import json
import re
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

import aiohttp
import pytest
from grpclib.client import Channel
from grpclib.config import Configuration
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from constellation_core.errors import ConfigError, KeyProviderError, KeyProviderUnavailableError
from constellation_core.keys.client import _tls
from constellation_core.keys.secret import Secret
from constellation_core.names import KEY_SERVICE_HOST, NAMESPACE
from constellation_proto.keys_grpc import KeysStub
from constellation_proto.keys_pb2 import GetDataKeyRequest
from constellation_services.keys import server
from constellation_services.keys.audit import Audit
from constellation_services.keys.outcome import Outcome
from constellation_services.keys.permissions import PERMISSIONS, KeyClass, Permission, class_of
from constellation_services.keys.rate_limit import Rate
from constellation_services.testing.key_service import HOST, RunningKeyService, expected_key, running_key_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from lightkube import AsyncClient

    from constellation_engine.testing.control_plane import ControlPlane

    Tokens = Callable[[str], str]

UUID = "3f1f5c0e-8a51-4d8e-9a66-0a4f5d8b7c21"
DISK, VOLUME = f"state-disk/{UUID}", f"volume/{UUID}"
HIDDEN = "arn:aws:kms:hidden"


@dataclass
class Provider:
    """A `KeyProvider` that fails as the test says, and then gives a key."""

    errors: list[Exception]

    async def data_key(self, _key_id: str, length: int) -> Secret:
        if self.errors:
            raise self.errors.pop(0)
        return Secret(b"k" * length)


@pytest.fixture
def provider() -> Provider:
    return Provider([])


@pytest.fixture
async def faulty(
    api: AsyncClient, control_plane: ControlPlane, tmp_path: Path, provider: Provider
) -> AsyncIterator[RunningKeyService]:
    async with running_key_service(api, control_plane.pki, tmp_path, provider=provider) as running:
        yield running


@pytest.mark.parametrize("length", [16, 32, 33, 64])
async def test_a_key_has_the_length_that_was_asked_for(
    service: RunningKeyService, token_of: Tokens, length: int
) -> None:
    assert await service.key(token_of("join-service"), DISK, length) == expected_key(DISK, length)


async def raw(service: RunningKeyService, request: GetDataKeyRequest, *headers: str) -> bytes:
    """Ask without our client, which would not ask for such things."""
    config = Configuration(ssl_target_name_override=KEY_SERVICE_HOST)
    channel = Channel(HOST, service.listening.port, ssl=_tls(service.pki / "ca.crt"), config=config)
    try:
        answer = await KeysStub(channel).GetDataKey(request, metadata=[("authorization", header) for header in headers])
    finally:
        channel.close()
    return bytes(answer.key)


async def refused(service: RunningKeyService, request: GetDataKeyRequest, *headers: str) -> Status:
    with pytest.raises(GRPCError) as caught:
        await raw(service, request, *headers)
    return caught.value.status


@pytest.mark.parametrize("length", [0, 1, 15, 65, 2**32 - 1])
async def test_a_length_that_no_key_has_is_refused(service: RunningKeyService, token_of: Tokens, length: int) -> None:
    request = GetDataKeyRequest(id=DISK, length=length)
    assert await refused(service, request, f"Bearer {token_of('join-service')}") is Status.INVALID_ARGUMENT
    assert service.audit[-1]["outcome"] == "malformed"


@pytest.mark.parametrize(
    "key_id",
    [
        "state-disk/",
        f"state-disk/{UUID.upper()}",
        f"state-disk/{UUID}/",
        f"state-disk/{UUID} ",
        f"state-disk//{UUID}",
        f"state-disk/{UUID.replace('-', '')}",
        f"state-disk/{{{UUID}}}",
        "state-disk/../measurement-secret",
        f"state-disk/{UUID}\n",
        "state-disk/" + "x" * 1000,
    ],
)
async def test_another_spelling_of_a_disk_is_refused(service: RunningKeyService, token_of: Tokens, key_id: str) -> None:
    request = GetDataKeyRequest(id=key_id, length=32)
    assert await refused(service, request, f"Bearer {token_of('join-service')}") is Status.INVALID_ARGUMENT
    assert service.audit[-1]["id"] == key_id[:80]


@pytest.mark.parametrize("key_id", ["measurement-secret/", f"measurement-secret/{UUID}", "state-disk", "STATE-DISK/x"])
async def test_an_id_of_no_class_is_refused(service: RunningKeyService, token_of: Tokens, key_id: str) -> None:
    request = GetDataKeyRequest(id=key_id, length=32)
    denied = {Status.PERMISSION_DENIED, Status.INVALID_ARGUMENT}
    assert await refused(service, request, f"Bearer {token_of('join-service')}") in denied


async def test_one_header_is_expected(service: RunningKeyService, token_of: Tokens) -> None:
    request, good = GetDataKeyRequest(id=DISK, length=32), f"Bearer {token_of('join-service')}"
    assert await raw(service, request, good) == expected_key(DISK).reveal()
    assert await refused(service, request) is Status.UNAUTHENTICATED
    assert await refused(service, request, good, good) is Status.UNAUTHENTICATED
    assert await refused(service, request, "Bearer a.b.c", good) is Status.UNAUTHENTICATED


async def test_a_request_that_is_too_long_is_refused(service: RunningKeyService, token_of: Tokens) -> None:
    request = GetDataKeyRequest(id="x" * 10_000, length=32)
    assert await refused(service, request, f"Bearer {token_of('join-service')}") is Status.RESOURCE_EXHAUSTED


async def test_whoever_asks_too_often_is_told_when_to_come_back(
    service: RunningKeyService, token_of: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = f"{NAMESPACE}/csi-node"
    slow = {account: Permission(PERMISSIONS[account].classes, Rate(per_second=4, burst=2))}
    monkeypatch.setattr("constellation_services.keys.permissions.PERMISSIONS", MappingProxyType(slow))
    token = token_of("csi-node")
    async with service.client(token) as keys:
        start = asyncio.get_running_loop().time()
        assert len(await asyncio.gather(*(keys.data_key(VOLUME, 32) for _ in range(4)))) == 4
        assert asyncio.get_running_loop().time() - start >= 0.5
    outcomes = [line["outcome"] for line in service.audit]
    assert (outcomes[:2], outcomes.count("given")) == (["given", "given"], 4)
    assert "limited" in outcomes


async def test_pods_do_not_use_up_what_other_pods_may_ask(
    service: RunningKeyService, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = f"{NAMESPACE}/csi-node"
    once = {account: Permission(PERMISSIONS[account].classes, Rate(per_second=0.001, burst=1))}
    monkeypatch.setattr("constellation_services.keys.permissions.PERMISSIONS", MappingProxyType(once))
    for number in range(3):
        pod, node = f"csi-{number}", f"node-{number}"
        token = control_plane.token("csi-node", "constellation-keys", pod=pod, node=node)
        assert await service.key(token, VOLUME) == expected_key(VOLUME)
    request = GetDataKeyRequest(id=VOLUME, length=32)
    assert await refused(service, request, f"Bearer {token}") is Status.RESOURCE_EXHAUSTED


async def test_a_provider_that_is_away_is_asked_again_by_the_client(
    faulty: RunningKeyService, token_of: Tokens, provider: Provider
) -> None:
    provider.errors += [KeyProviderUnavailableError(HIDDEN)] * 2
    assert await faulty.key(token_of("join-service"), DISK) == Secret(b"k" * 32)
    assert [line["outcome"] for line in faulty.audit] == ["unavailable", "unavailable", "given"]
    assert HIDDEN not in faulty.written.getvalue()


@pytest.mark.parametrize("error", [KeyProviderError(HIDDEN), ConfigError(HIDDEN), ZeroDivisionError(HIDDEN)])
async def test_what_a_provider_says_is_not_for_the_caller(
    faulty: RunningKeyService, token_of: Tokens, provider: Provider, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    provider.errors.append(error)
    with pytest.raises(KeyProviderError, match="INTERNAL") as caught:
        await faulty.key(token_of("join-service"), DISK)
    assert not isinstance(caught.value, KeyProviderUnavailableError)
    assert HIDDEN not in str(caught.value) + faulty.written.getvalue()
    assert HIDDEN in caplog.text
    assert faulty.audit[-1]["outcome"] == "failed"


async def test_every_key_has_its_line(service: RunningKeyService, token_of: Tokens) -> None:
    await service.key(token_of("join-service"), DISK)
    (line,) = service.audit
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {
        "event": "key",
        "id": DISK,
        "outcome": "given",
        "caller": f"{NAMESPACE}/join-service",
        "pod": "join-service-0",
        "node": "node-0",
        "address": "ipv4:127.0.0.1",
    }


async def test_every_refusal_has_its_line_and_reason(service: RunningKeyService, token_of: Tokens) -> None:
    with pytest.raises(KeyProviderError):
        await service.key(token_of("csi-node"), DISK)
    (line,) = service.audit
    assert (line["id"], line["outcome"], line["caller"]) == (DISK, "denied", f"{NAMESPACE}/csi-node")
    assert "may not have the key" in line["reason"]


async def test_neither_keys_nor_tokens_are_written(
    service: RunningKeyService, token_of: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    token = token_of("join-service")
    key = (await service.key(token, DISK)).reveal()
    with pytest.raises(KeyProviderError):
        await service.key(token, VOLUME)
    written = service.written.getvalue() + caplog.text + repr([vars(record) for record in caplog.records])
    assert [leak for leak in (token, key.hex(), repr(key)[2:-1]) if leak in written] == []


async def test_a_line_is_one_line_whatever_was_asked(service: RunningKeyService, token_of: Tokens) -> None:
    forged = '\n{"outcome": "given"}\r\x1b[2J\u2028'
    with pytest.raises(KeyProviderError):
        await service.key(token_of("join-service"), forged)
    assert [line["id"] for line in service.audit] == [forged]
    assert service.written.getvalue().count("\n") == 1
    assert service.written.getvalue().isascii()


def test_whoever_is_refused_again_and_again_does_not_fill_the_log() -> None:
    stream = io.StringIO()
    audit, attacker = Audit(stream), "ipv4:10.0.0.66"
    for number in range(1000):
        audit.write(DISK, Outcome.DENIED, None, attacker, "no")
        if number == 500:
            audit.write(DISK, Outcome.GIVEN, None, attacker)
            audit.write(DISK, Outcome.DENIED, None, "ipv4:10.0.0.1", "no")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert 202 <= len(lines) <= 210
    (given,) = (line for line in lines if line["outcome"] == "given")
    assert given["unwritten"] >= 290
    assert "unwritten" not in next(line for line in lines if line["address"] == "ipv4:10.0.0.1")


class Full(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


async def test_without_its_line_no_key_is_given(
    service: RunningKeyService, token_of: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of("join-service")
    monkeypatch.setattr(Audit, "write", lambda *_: Full().write(""))
    with pytest.raises(KeyProviderError):
        await service.key(token, DISK)


async def status(service: RunningKeyService, path: str) -> str:
    url = f"http://{HOST}:{service.listening.status_port}/{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return f"{response.status} {await response.text()}"


async def test_requests_are_counted_by_outcome_and_class(service: RunningKeyService, token_of: Tokens) -> None:
    join, csi = token_of("join-service"), token_of("csi-node")
    await service.key(join, DISK)
    await service.key(join, DISK)
    for token, key_id in ((csi, DISK), (csi, "anything"), ("a.b.c", "measurement-secret")):
        with pytest.raises(KeyProviderError):
            await service.key(token, key_id)
    counted = dict(re.findall(r"constellation_key_requests_total\{(.*)\} (\S+)", await status(service, "metrics")))
    assert counted == {
        'key_class="state-disk",outcome="given"': "2.0",
        'key_class="state-disk",outcome="denied"': "1.0",
        'key_class="unknown",outcome="denied"': "1.0",
        'key_class="measurement-secret",outcome="unauthenticated"': "1.0",
    }


async def test_it_says_that_it_is_alive_and_ready(service: RunningKeyService) -> None:
    assert (await status(service, "healthz")).startswith("200 ")
    assert (await status(service, "readyz")).startswith("200 ")


@pytest.mark.parametrize(
    "key_id, key_class",
    [
        ("measurement-secret", KeyClass.MEASUREMENT),
        ("s3proxy/kek", KeyClass.OBJECT_STORE),
        (DISK, KeyClass.STATE_DISK),
        ("state-disk/anything", KeyClass.STATE_DISK),
        (VOLUME, KeyClass.VOLUME),
        ("state-disk", None),
        ("state-disk-2/x", None),
        ("s3proxy/kek/x", None),
        ("", None),
    ],
)
def test_an_id_belongs_to_one_class(key_id: str, key_class: KeyClass | None) -> None:
    assert class_of(key_id) is key_class


def test_the_trailer_is_the_one_that_the_client_reads() -> None:
    from constellation_core.keys import client  # noqa: PLC0415 - the two names side by side

    assert server.RETRY_AFTER == client.RETRY_AFTER
