# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A question gets a statement, over the attested channel and over HTTP; a bad one gets a reason."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from grpclib import GRPCError, Status
from hypothesis import example, given
from hypothesis import strategies as st

from attestation.evidence import Evidence
from attestation.insecure import InsecureIssuer
from attestation.judge import judge
from constellation_core.channel.client import attested_channel
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.conditions import Condition, wait_for_async
from constellation_core.errors import PeerUnavailableError, StatementError
from constellation_core.statements import Statement, new_nonce, statement_binding
from constellation_core.testing.watching import until
from constellation_proto import verify_pb2
from constellation_proto.verify_grpc import VerifyStub
from constellation_services.testing.verified_node import CLUSTER_ID, OTHER_CLUSTER_ID, POLICY, serving_node
from constellation_services.verify.web import read_nonce

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from attestation.testing.swtpm import Swtpm
    from attestation.verdict import Verdict
    from constellation_services.verify.service import Listening

VERIFIER = PolicyVerifier(policies=[POLICY], mark=CLUSTER_ID)


async def state(node: Listening, nonce: bytes) -> verify_pb2.Statement:
    async with attested_channel("127.0.0.1", node.port, verifier=VERIFIER) as channel:
        return await VerifyStub(channel).GetStatement(verify_pb2.GetStatementRequest(nonce=nonce))


async def get(port: int, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.json()


def verdict_about(evidence: bytes, nonce: bytes, cluster_id: bytes = CLUSTER_ID) -> Verdict:
    binding = statement_binding(nonce, cluster_id)
    return judge(Evidence.from_json(evidence), POLICY, binding=binding, at=datetime.now(UTC), mark=CLUSTER_ID)


async def test_the_channel_gives_a_statement(node: Listening) -> None:
    nonce = new_nonce()
    statement = await state(node, nonce)
    assert statement.node == "worker-1"
    verdict_about(statement.evidence, nonce).require()


async def test_a_statement_is_about_one_nonce_and_one_cluster(node: Listening) -> None:
    nonce = new_nonce()
    statement = await state(node, nonce)
    assert not verdict_about(statement.evidence, new_nonce()).accepted
    assert not verdict_about(statement.evidence, nonce, OTHER_CLUSTER_ID).accepted


@pytest.mark.parametrize("size", [0, 31, 33, 1024])
async def test_a_nonce_of_another_size_is_refused(node: Listening, size: int) -> None:
    with pytest.raises(GRPCError, match=f"expected 32 bytes, got {size}") as caught:
        await state(node, bytes(size))
    assert caught.value.status is Status.INVALID_ARGUMENT


async def test_a_large_request_is_refused(node: Listening) -> None:
    with pytest.raises(GRPCError) as caught:
        await state(node, bytes(2 * 1024 * 1024))
    assert caught.value.status is Status.RESOURCE_EXHAUSTED


async def test_http_gives_a_statement(node: Listening) -> None:
    nonce = new_nonce()
    status, said = await get(node.http_port, f"/v1/statement?nonce={nonce.hex()}")
    assert (status, said["version"], said["node"], said["nonce"]) == (200, 1, "worker-1", nonce.hex())
    verdict_about(json.dumps(said["evidence"]).encode(), nonce).require()


async def test_http_takes_base64url(node: Listening) -> None:
    nonce = secrets.token_bytes(32)
    text = base64.urlsafe_b64encode(nonce).decode().rstrip("=")
    assert (await get(node.http_port, f"/v1/statement?nonce={text}"))[1]["nonce"] == nonce.hex()


@pytest.mark.parametrize("query", ["", "?nonce=", "?nonce=00", f"?nonce={'0' * 63}g", f"?nonce={'0' * 64}&nonce=00"])
async def test_http_refuses_a_bad_nonce_and_says_how_to_ask(node: Listening, query: str) -> None:
    status, said = await get(node.http_port, f"/v1/statement{query}")
    assert status == 400
    assert "expected 32 bytes" in said["error"]
    assert "openssl rand" in said["hint"]


def test_canonical_evidence_is_in_the_json_byte_by_byte() -> None:
    evidence = InsecureIssuer().issue(bytes(32))
    document = Statement('a "node" ü', bytes(32), evidence).to_json()
    assert evidence.to_json() in document
    record = json.loads(document)
    assert json.dumps(record, sort_keys=True, separators=(",", ":")).encode() == document
    assert record["node"] == 'a "node" ü'


@given(st.binary(min_size=32, max_size=32))
def test_a_nonce_reads_back_however_it_is_written(nonce: bytes) -> None:
    base64url = base64.urlsafe_b64encode(nonce).decode()
    for text in (nonce.hex(), nonce.hex().upper(), base64url, base64url.rstrip("=")):
        assert read_nonce([text]) == nonce


@given(st.lists(st.text(max_size=70), max_size=3))
@example(["A" * 43])
@example(["A" * 42 + "B"])  # spare bits that are not zero: a second spelling of the same bytes
def test_anything_else_is_no_nonce(values: list[str]) -> None:
    try:
        assert len(read_nonce(values)) == 32
    except StatementError as error:
        assert error.hint  # noqa: PT017 - any text may be one or the other


@pytest.mark.parametrize("nonce, cluster_id", [(bytes(31), bytes(32)), (bytes(32), bytes(33)), (b"", b"")])
def test_a_binding_has_no_second_way_to_come_about(nonce: bytes, cluster_id: bytes) -> None:
    with pytest.raises(StatementError, match="expected 32 bytes"):
        statement_binding(nonce, cluster_id)


async def test_a_node_without_a_cluster_states_nothing(tpm: Swtpm) -> None:
    async with serving_node("worker-1", tpm) as node:
        (tpm.directory / "cluster-id").unlink()
        with pytest.raises(GRPCError, match="belongs to no cluster") as caught:
            await state(node, new_nonce())
        assert caught.value.status is Status.FAILED_PRECONDITION
        assert (await get(node.http_port, f"/v1/statement?nonce={'00' * 32}"))[0] == 409
        status, said = await get(node.status_port, "/readyz")
    assert status == 503
    assert "belongs to no cluster" in said["conditions"]["the node belongs to a cluster"]


@pytest.mark.parametrize("text", ["", "00" * 31, "00" * 33, "0G" * 32, "AB" * 32, f"{'00' * 32}\n\n"])
async def test_a_damaged_cluster_id_is_none(tpm: Swtpm, text: str) -> None:
    async with serving_node("worker-1", tpm) as node:
        (tpm.directory / "cluster-id").write_text(text)
        status, said = await get(node.http_port, f"/v1/statement?nonce={'00' * 32}")
    assert status == 409
    assert "expected 64 digits" in said["error"]


async def test_a_node_is_ready_when_its_device_works(node: Listening) -> None:
    async def check() -> str | None:
        status, said = await get(node.status_port, "/readyz")
        return None if status == 200 else str(said)

    await wait_for_async([Condition("the node is ready", check)], timeout=10)


async def test_a_device_that_fails_is_told_of_and_opened_again(tpm: Swtpm, tmp_path: Path) -> None:
    there_later = tmp_path / "tpm.sock"
    question = f"/v1/statement?nonce={'00' * 32}"
    async with AsyncExitStack() as stack, serving_node("worker-1", tpm, tpm=f"unix://{there_later}") as node:
        status, said = await get(node.http_port, question)
        assert (status, "cannot reach a TPM" in said["error"]) == (503, True)
        with pytest.raises(PeerUnavailableError, match="cannot take us now"):
            await state(node, new_nonce())
        await stack.enter_async_context(forwarding(there_later, tpm.address))
        assert (await get(node.http_port, question))[0] == 200


@asynccontextmanager
async def forwarding(path: Path, address: str) -> AsyncIterator[None]:
    """Make a TPM answer at another address."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    closed: list[asyncio.Task[None]] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        closed.extend((asyncio.create_task(pump(reader, back)), asyncio.create_task(pump(there, writer))))

    async with await asyncio.start_unix_server(connect, path):
        yield
        await asyncio.gather(*closed)


async def test_everything_is_counted(node: Listening) -> None:
    nonce = new_nonce()
    await state(node, nonce)
    with pytest.raises(GRPCError):
        await state(node, b"")
    await get(node.http_port, f"/v1/statement?nonce={nonce.hex()}")
    await get(node.http_port, "/v1/statement")
    async with aiohttp.ClientSession() as session:
        answer = await session.get(f"http://127.0.0.1:{node.status_port}/metrics")
        metrics = await answer.text()
    for line in (
        'constellation_verify_statements_total{outcome="given",way="channel"} 1.0',
        'constellation_verify_statements_total{outcome="malformed",way="channel"} 1.0',
        'constellation_verify_statements_total{outcome="given",way="http"} 1.0',
        'constellation_verify_statements_total{outcome="malformed",way="http"} 1.0',
        'constellation_verify_connections_total{outcome="accepted"} 2.0',
        "constellation_verify_waiting 0.0",
    ):
        assert line in metrics
    assert "constellation_verify_evidence_seconds_count" in metrics


async def test_a_running_question_is_answered_when_the_service_stops(tpm: Swtpm) -> None:
    async with serving_node("worker-1", tpm, per_second=2.0, burst=1, grace=5.0) as node:
        question = asyncio.create_task(get(node.http_port, f"/v1/statement?nonce={'00' * 32}"))
        another = asyncio.create_task(get(node.http_port, f"/v1/statement?nonce={'11' * 32}"))
        await until(lambda: question.done() or another.done())
    assert [(await question)[0], (await another)[0]] == [200, 200]
