# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""All nodes of a cluster prove themselves, over the real channel, by real TPMs of software, to the real client."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError, Status

from attestation.insecure import InsecureIssuer
from attestation.issuer import open_issuer
from attestation.policy import Policy
from attestation.variant import Variant
from constellation_core.errors import ConfigError, StatementError
from constellation_core.statements import statement_binding
from constellation_core.testing.wire import Wire, listening
from constellation_engine.cluster import verify
from constellation_engine.cluster.cluster_verdict import ClusterVerdict, Endpoint
from constellation_engine.cluster.members import Member
from constellation_engine.cluster.verify import verify_cluster
from constellation_engine.errors import ClusterNotAcceptedError
from constellation_proto import verify_pb2
from constellation_services.testing.verified_node import (
    CLUSTER_ID,
    OTHER_CLUSTER_ID,
    POLICY,
    lying_node,
    node_tpm,
    serving_node,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from attestation.testing.swtpm import Swtpm

INSECURE = Policy.from_mapping({"variant": "insecure"})
OTHER_IMAGE = Policy.from_mapping(
    {"variant": "qemu-vtpm", "measurements": {"4": {"expected": "00" * 32, "enforced": True}}}
)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "PAUSE", 0.01)


@asynccontextmanager
async def cluster(*tpms: Swtpm) -> AsyncIterator[list[Endpoint]]:
    """Nodes worker-0, worker-1, …, each with its TPM."""
    async with AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(serving_node(f"worker-{index}", tpm)) for index, tpm in enumerate(tpms)
        ]
        yield [Endpoint("127.0.0.1", node.port, f"worker-{index}") for index, node in enumerate(nodes)]


async def ask(*endpoints: Endpoint, cluster_id: bytes | None = CLUSTER_ID, patience: float = 20.0) -> ClusterVerdict:
    return await verify_cluster(endpoints, [POLICY], cluster_id=cluster_id, timeout=patience)


def names_of_reasons(verdict: ClusterVerdict, index: int = 0) -> set[str]:
    return {reason.name for reason in verdict.nodes[index].reasons}


async def test_all_nodes_are_accepted(tpms: tuple[Swtpm, ...]) -> None:
    async with cluster(*tpms) as endpoints:
        verdict = await ask(*endpoints)
    assert verdict.require().accepted
    assert [node.name for node in verdict.nodes] == ["worker-0", "worker-1", "worker-2"]
    assert verdict.summary == "accepted: 3 of 3 nodes proved what they must"


async def test_what_happens_to_each_node_is_told(tpm: Swtpm) -> None:
    heard = []
    async with cluster(tpm) as (endpoint,):
        await verify_cluster(
            [endpoint], [POLICY], cluster_id=CLUSTER_ID, progress=lambda node, words: heard.append((str(node), words))
        )
    assert heard == [("worker-0", "connecting"), ("worker-0", "attested"), ("worker-0", "accepted")]


async def test_a_node_of_another_image_is_not_accepted(tpm: Swtpm) -> None:
    async with cluster(tpm) as endpoints:
        verdict = await verify_cluster(endpoints, [OTHER_IMAGE], cluster_id=CLUSTER_ID)
    assert "measurements.4" in names_of_reasons(verdict)
    with pytest.raises(ClusterNotAcceptedError, match="not accepted: worker-0"):
        verdict.require()


async def test_one_of_several_policies_is_enough(tpm: Swtpm) -> None:
    async with cluster(tpm) as endpoints:
        assert (await verify_cluster(endpoints, [INSECURE, OTHER_IMAGE, POLICY], cluster_id=CLUSTER_ID)).accepted


async def test_a_node_of_another_cluster_is_not_accepted(stranger: Path) -> None:
    with node_tpm(stranger, OTHER_CLUSTER_ID) as tpm:
        async with cluster(tpm) as endpoints:
            verdict = await ask(*endpoints)
    assert names_of_reasons(verdict) == {"mark"}
    assert not verdict.accepted


async def test_a_node_without_a_mark_is_not_accepted(stranger: Path) -> None:
    with node_tpm(stranger) as tpm:
        async with cluster(tpm) as endpoints:
            verdict = await ask(*endpoints)
    assert names_of_reasons(verdict) == {"mark"}


async def test_a_service_that_was_told_another_cluster_is_not_accepted(tpm: Swtpm) -> None:
    async with serving_node("worker-0", tpm, OTHER_CLUSTER_ID) as node:
        verdict = await ask(Endpoint("127.0.0.1", node.port))
    assert verdict.nodes[0].channel is not None
    assert verdict.nodes[0].channel.accepted
    assert any("binding" in name for name in names_of_reasons(verdict))


async def test_an_old_statement_is_not_accepted(tpm: Swtpm) -> None:
    with open_issuer(Variant.QEMU_VTPM, tpm=tpm.address) as issuer:
        old = issuer.issue(statement_binding(bytes(32), CLUSTER_ID)).to_json()

        async def replay(_nonce: bytes) -> verify_pb2.Statement:
            return verify_pb2.Statement(evidence=old, node="worker-0")

        async with lying_node(issuer, replay) as port:
            verdict = await ask(Endpoint("127.0.0.1", port))
    assert any("binding" in name for name in names_of_reasons(verdict))
    assert not verdict.accepted


async def test_a_statement_of_another_node_is_not_accepted(tpms: tuple[Swtpm, ...]) -> None:
    with (
        open_issuer(Variant.QEMU_VTPM, tpm=tpms[0].address) as own,
        open_issuer(Variant.QEMU_VTPM, tpm=tpms[1].address) as others,
    ):

        async def relay(nonce: bytes) -> verify_pb2.Statement:
            evidence = await asyncio.to_thread(others.issue, statement_binding(nonce, CLUSTER_ID))
            return verify_pb2.Statement(evidence=evidence.to_json(), node="worker-0")

        async with lying_node(own, relay) as port:
            verdict = await ask(Endpoint("127.0.0.1", port))
    assert names_of_reasons(verdict) == {"statement.identity"}
    assert not verdict.accepted


@pytest.mark.parametrize("evidence", [b"", b"{}", b"\xff", InsecureIssuer().issue(bytes(32)).to_json()])
async def test_a_statement_that_nobody_can_judge_is_no_answer(tpm: Swtpm, evidence: bytes) -> None:
    async def nonsense(_nonce: bytes) -> verify_pb2.Statement:
        return verify_pb2.Statement(evidence=evidence)

    with open_issuer(Variant.QEMU_VTPM, tpm=tpm.address) as issuer:
        async with lying_node(issuer, nonsense) as port:
            verdict = await ask(Endpoint("127.0.0.1", port))
    assert verdict.nodes[0].failure
    assert not verdict.accepted


async def test_a_channel_of_a_variant_that_nobody_asked_for_is_no_answer(tpm: Swtpm) -> None:
    async with cluster(tpm) as endpoints:
        verdict = await verify_cluster(endpoints, [INSECURE], cluster_id=CLUSTER_ID)
    assert "expected one of insecure, got qemu-vtpm" in verdict.nodes[0].failure


async def test_a_node_that_goes_by_another_name_is_not_accepted(tpm: Swtpm) -> None:
    async with cluster(tpm) as (endpoint,):
        verdict = await ask(replace(endpoint, name="worker-9"))
    assert names_of_reasons(verdict) == {"node"}


async def test_one_machine_does_not_answer_for_two_nodes(tpms: tuple[Swtpm, ...]) -> None:
    async with cluster(*tpms[:2]) as (first, second):
        verdict = await ask(replace(first, name=""), replace(first, name=""), second)
    assert [node.accepted for node in verdict.nodes] == [False, False, True]
    assert names_of_reasons(verdict, 0) == {"identity"}


async def test_a_node_that_is_down_is_not_accepted(tpm: Swtpm, unused_tcp_port: int) -> None:
    async with cluster(tpm) as (endpoint,):
        verdict = await ask(endpoint, Endpoint("127.0.0.1", unused_tcp_port, "worker-1"))
    assert [node.accepted for node in verdict.nodes] == [True, False]
    assert "connect call failed" in verdict.nodes[1].failure.lower()
    assert verdict.nodes[1].hint
    assert not verdict.accepted


async def test_a_node_that_hangs_does_not_delay_others(tpm: Swtpm) -> None:
    async def hang(_wire: Wire) -> None:
        await asyncio.Event().wait()

    order = []
    async with listening(hang) as port, cluster(tpm) as (endpoint,):
        verdict = await verify_cluster(
            [Endpoint("127.0.0.1", port, "hangs"), endpoint],
            [POLICY],
            cluster_id=CLUSTER_ID,
            timeout=3,
            progress=lambda node, words: order.append(node.name) if "accepted" in words else None,
        )
    assert order == ["worker-0", "hangs"]
    assert verdict.nodes[0].failure == "no answer within 3 s"
    assert verdict.nodes[1].accepted


async def test_a_node_that_hangs_when_it_should_state_is_given_up(tpm: Swtpm) -> None:
    async def hang(_nonce: bytes) -> verify_pb2.Statement:
        await asyncio.Event().wait()
        return verify_pb2.Statement()

    with open_issuer(Variant.QEMU_VTPM, tpm=tpm.address) as issuer:
        async with lying_node(issuer, hang) as port:
            verdict = await ask(Endpoint("127.0.0.1", port), patience=1)
    assert verdict.nodes[0].failure == "no answer within 1 s"


async def test_a_node_that_is_busy_is_asked_again(tpm: Swtpm) -> None:
    refusals = [GRPCError(Status.RESOURCE_EXHAUSTED, "busy"), GRPCError(Status.UNAVAILABLE, "no device")]
    with open_issuer(Variant.QEMU_VTPM, tpm=tpm.address) as issuer:

        async def busy_at_first(nonce: bytes) -> verify_pb2.Statement:
            if refusals:
                raise refusals.pop()
            evidence = await asyncio.to_thread(issuer.issue, statement_binding(nonce, CLUSTER_ID))
            return verify_pb2.Statement(evidence=evidence.to_json())

        async with lying_node(issuer, busy_at_first) as port:
            assert (await ask(Endpoint("127.0.0.1", port))).accepted


async def test_a_node_that_belongs_to_no_cluster_says_so(tpm: Swtpm) -> None:
    async with serving_node("worker-0", tpm) as node:
        (tpm.directory / "cluster-id").unlink()
        verdict = await ask(Endpoint("127.0.0.1", node.port))
    assert "belongs to no cluster" in verdict.nodes[0].failure


async def test_something_else_on_the_port_is_not_accepted() -> None:
    async def speak_http(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(speak_http, "127.0.0.1", 0)
    async with server:
        verdict = await ask(Endpoint("127.0.0.1", server.sockets[0].getsockname()[1]))
    assert "TLS" in verdict.nodes[0].failure


async def test_without_a_cluster_id_any_one_cluster_is_accepted_with_a_warning(tpms: tuple[Swtpm, ...]) -> None:
    async with cluster(*tpms[:2]) as endpoints:
        verdict = await ask(*endpoints, cluster_id=None)
    assert verdict.accepted
    assert any("no cluster ID was given" in warning for warning in verdict.warnings)
    assert verdict.nodes[0].statement is None


async def test_without_a_cluster_id_nodes_of_two_clusters_are_not_accepted(tpm: Swtpm, stranger: Path) -> None:
    with node_tpm(stranger, OTHER_CLUSTER_ID) as other:
        async with cluster(tpm, other) as endpoints:
            verdict = await ask(*endpoints, cluster_id=None)
    assert all(node.accepted for node in verdict.nodes)
    assert "different marks: worker-0 and worker-1" in str(verdict.mismatches[0])
    assert not verdict.accepted


async def test_without_a_cluster_id_a_node_of_no_cluster_is_not_accepted(stranger: Path) -> None:
    with node_tpm(stranger) as tpm:
        async with cluster(tpm) as endpoints:
            verdict = await ask(*endpoints, cluster_id=None)
    assert names_of_reasons(verdict) == {"mark"}


async def test_a_cluster_id_of_a_wrong_size_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(StatementError, match="cluster ID: expected 32 bytes, got 31"):
        await ask(Endpoint("127.0.0.1", 1), cluster_id=bytes(31))


async def test_without_a_policy_nobody_is_asked() -> None:
    with pytest.raises(ConfigError, match="at least one policy"):
        await verify_cluster([Endpoint("127.0.0.1", 1)], [])


async def test_no_nodes_are_no_cluster() -> None:
    verdict = await ask()
    assert not verdict.accepted
    with pytest.raises(ClusterNotAcceptedError, match="no node was asked"):
        verdict.require()


async def identity_of(endpoint: Endpoint) -> bytes:
    verdict = (await ask(endpoint)).nodes[0].verdict
    assert verdict is not None
    assert verdict.identity is not None
    return verdict.identity


async def test_a_node_that_nobody_asked_is_reported(tpm: Swtpm) -> None:
    async with cluster(tpm) as (endpoint,):
        members = [Member("worker-0", (), await identity_of(endpoint)), Member("worker-1", (), bytes(32))]
        verdict = await verify_cluster([endpoint], [POLICY], cluster_id=CLUSTER_ID, members=members)
    assert verdict.nodes[0].accepted
    assert [reason.name for reason in verdict.mismatches] == ["nodes.worker-1"]
    assert not verdict.accepted


@pytest.mark.parametrize(
    "member, reason",
    [
        (Member("worker-0", (), bytes(32)), "identity"),  # another machine than the one that joined
        (Member("worker-0", (), None), "node"),  # nobody attested it when it joined
        (Member("worker-1", (), bytes(32)), "node"),  # the cluster does not know it
    ],
)
async def test_what_the_cluster_knows_must_agree(tpm: Swtpm, member: Member, reason: str) -> None:
    async with cluster(tpm) as (endpoint,):
        verdict = await verify_cluster([endpoint], [POLICY], cluster_id=CLUSTER_ID, members=[member])
    assert names_of_reasons(verdict) == {reason}
    assert not verdict.accepted


async def test_verdicts_have_no_truth_value(tpm: Swtpm) -> None:
    async with cluster(tpm) as endpoints:
        verdict = await ask(*endpoints)
    with pytest.raises(TypeError, match="not a truth value"):
        bool(verdict)
    with pytest.raises(TypeError, match="not a truth value"):
        bool(verdict.nodes[0])


async def test_the_record_is_versioned_json(tpm: Swtpm, unused_tcp_port: int) -> None:
    async with cluster(tpm) as (endpoint,):
        verdict = await ask(endpoint, Endpoint("127.0.0.1", unused_tcp_port))
    record = verdict.to_mapping()
    assert (record["version"], record["accepted"], record["cluster_id"]) == (1, False, CLUSTER_ID.hex())
    assert datetime.fromisoformat(record["at"]).tzinfo == UTC
    good, down = record["nodes"]
    assert (good["node"], good["accepted"], good["failure"]) == ("worker-0", True, None)
    assert good["statement"]["identity"] == good["channel"]["identity"]
    assert (down["node"], down["accepted"], down["channel"]) == (None, False, None)


async def test_the_table_has_a_row_for_each_node(tpm: Swtpm, unused_tcp_port: int) -> None:
    async with cluster(tpm) as (endpoint,):
        good, down = (await ask(endpoint, Endpoint("127.0.0.1", unused_tcp_port))).rows()
    assert good[:4] == ("worker-0", endpoint.address, "accepted", "none")
    assert down[:3] == ("", f"127.0.0.1:{unused_tcp_port}", "NO ANSWER")
