# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Strangers cannot wear the TPM out, and one of them cannot keep others from it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from grpclib import GRPCError, Status

from attestation.issuer import open_issuer
from constellation_core.channel.client import attested_channel
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.errors import PeerUnavailableError
from constellation_core.statements import new_nonce
from constellation_core.testing.devices import SlowIssuer
from constellation_core.testing.peers import FakeClient
from constellation_core.testing.wire import dial
from constellation_proto import attest_pb2, verify_pb2
from constellation_proto.verify_grpc import VerifyStub
from constellation_services.testing.verified_node import CLUSTER_ID, POLICY, serving_node
from constellation_services.verify import service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from attestation.testing.swtpm import Swtpm
    from attestation.variant import Variant
    from constellation_services.verify.service import Listening

VERIFIER = PolicyVerifier(policies=[POLICY], mark=CLUSTER_ID)
MALLORY, ALICE = "127.0.0.66", "127.0.0.1"
SLOW = 0.3  # seconds


async def ask_http(node: Listening, address: str = ALICE) -> aiohttp.ClientResponse:
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with aiohttp.ClientSession(connector=connector) as session:
        answer = await session.get(f"http://127.0.0.1:{node.http_port}/v1/statement?nonce={new_nonce().hex()}")
        await answer.read()
        return answer


async def ask_channel(node: Listening) -> verify_pb2.Statement:
    async with attested_channel("127.0.0.1", node.port, verifier=VERIFIER) as channel:
        return await VerifyStub(channel).GetStatement(verify_pb2.GetStatementRequest(nonce=new_nonce()))


async def connect(node: Listening, address: str) -> attest_pb2.ServerHello:
    """Cost the node a signature, and go away."""
    async with dial(node.port, address=address) as wire:
        return await FakeClient().greet(wire)


async def flood(node: Listening) -> None:
    """Ask in every way, as often as possible, for ever."""

    async def again() -> None:
        while True:
            with suppress(aiohttp.ClientError, OSError, EOFError):
                await ask_http(node, MALLORY)
                await connect(node, MALLORY)

    await asyncio.gather(*(again() for _ in range(20)))


@asynccontextmanager
async def flooded(node: Listening) -> AsyncIterator[None]:
    """Attack a node until the block ends."""
    attack = asyncio.create_task(flood(node))
    try:
        async with asyncio.timeout(10):
            while (await ask_http(node, MALLORY)).status != 429:  # the flood is there
                pass
        yield
    finally:
        attack.cancel()
        await asyncio.gather(attack, return_exceptions=True)


async def test_a_flood_from_one_address_does_not_keep_another_out(tpm: Swtpm) -> None:
    async with serving_node("worker-1", tpm, per_second=20.0, burst=2) as node, flooded(node), asyncio.timeout(10):
        for _ in range(5):
            await ask_channel(node)
            assert (await ask_http(node)).status == 200


async def test_with_a_slow_tpm_a_flood_costs_others_one_signature_each_time(
    tpm: Swtpm, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def open_slow(variant: Variant, **options: Any) -> Iterator[SlowIssuer]:  # noqa: ANN401 - as of `open_issuer`
        with open_issuer(variant, **options) as issuer:
            yield SlowIssuer(issuer, SLOW)

    monkeypatch.setattr(service, "open_issuer", open_slow)
    async with serving_node("worker-1", tpm, per_second=100.0, burst=100) as node, flooded(node):
        start = asyncio.get_running_loop().time()
        await ask_channel(node)
        took = asyncio.get_running_loop().time() - start
    signatures = 2 * (1 + 1)  # two of ours, each after one of theirs
    assert took < (signatures + 1) * SLOW


async def test_who_asks_too_often_hears_when_to_come_back(tpm: Swtpm) -> None:
    async with serving_node("worker-1", tpm, per_second=0.5, burst=1, lane=1, grace=0.1) as node:
        assert (await ask_http(node)).status == 200
        asked = [asyncio.create_task(ask_http(node)) for _ in range(2)]  # one waits, and one is one too many
        (answered,), (waiting,) = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        answer = await answered
    assert (answer.status, answer.headers["Retry-After"]) == (429, "4")
    assert "asked too often" in (await answer.json())["error"]


async def test_a_connection_costs_a_turn_too(tpm: Swtpm) -> None:
    async with serving_node("worker-1", tpm, per_second=0.1, burst=2, patience=0.05) as node:
        assert (await connect(node, MALLORY)).evidence
        await ask_http(node)
        assert (await connect(node, MALLORY)).code == attest_pb2.CODE_BUSY
        with pytest.raises(PeerUnavailableError, match="cannot take us now"):
            await ask_channel(node)


async def test_a_statement_costs_a_turn_of_its_own(tpm: Swtpm) -> None:
    async with serving_node("worker-1", tpm, per_second=0.1, burst=1, patience=0.05) as node:
        with pytest.raises(GRPCError, match="try again in") as caught:
            await ask_channel(node)
    assert caught.value.status is Status.RESOURCE_EXHAUSTED
