# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence that is true and does not belong here: reflected, recorded, of the other role, of another variant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from attestation.evidence import Evidence
from attestation.policy import Policy
from attestation.variant import Variant
from constellation_core.channel.binding import Role
from constellation_core.channel.client import attested_channel
from constellation_core.channel.refusals import Reason
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.errors import InsecureConnectionError, PeerNotAcceptedError
from constellation_core.testing.echo import EchoServer, echo_server
from constellation_core.testing.peers import FakeClient, FakeServer
from constellation_core.testing.wire import dial, listening
from constellation_proto.attest_pb2 import (
    CODE_ACCEPTED,
    CODE_NOT_ACCEPTED,
    ClientEvidence,
    ClientHello,
    ServerHello,
    Verdict,
)

if TYPE_CHECKING:
    from constellation_core.testing.devices import Machines


async def verdict_of(running: EchoServer, client: FakeClient) -> Verdict:
    async with dial(running.port) as wire:
        return await client.meet(wire)


async def refuse(running: EchoServer, client: FakeClient) -> None:
    """See that the server refuses evidence that is bound to something else, tells nothing, and knows why."""
    verdict = await verdict_of(running, client)
    assert verdict.code == CODE_NOT_ACCEPTED
    assert not verdict.mismatches
    assert running.recorder.refusals[-1].reason is Reason.NOT_ACCEPTED
    assert running.recorder.mismatches == ["tpm.binding"]
    assert running.recorder.passed == []


async def meet(port: int, machines: Machines) -> None:
    async with attested_channel("127.0.0.1", port, verifier=machines.verifier, issuer=machines.client):
        pass


async def test_the_fakes_are_good_until_somebody_breaks_them(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        verdict = await verdict_of(running, FakeClient(tpms.client))
        assert verdict.code == CODE_ACCEPTED
    async with listening(FakeServer(tpms.server, demands_evidence=True).meet) as port:
        await meet(port, tpms)


async def test_the_servers_evidence_sent_back(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        await refuse(running, FakeClient(reflects=True))


async def test_a_clients_evidence_for_the_other_role(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        await refuse(running, FakeClient(tpms.client, role=Role.SERVER))


async def test_a_servers_evidence_for_the_other_role(tpms: Machines) -> None:
    async with listening(FakeServer(tpms.server, role=Role.CLIENT).meet) as port:
        with pytest.raises(PeerNotAcceptedError, match=r"tpm\.binding"):
            await meet(port, tpms)


async def test_a_clients_evidence_of_an_earlier_connection(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        honest = FakeClient(tpms.client)
        async with dial(running.port) as wire:
            await honest.greet(wire)
            recorded = await honest.make_evidence(wire)
        again = FakeClient(nonce=honest.nonce, evidence=recorded)  # all that was ever sent, sent again
        await refuse(running, again)


async def test_a_servers_evidence_of_an_earlier_connection(tpms: Machines) -> None:
    honest = FakeClient()
    async with echo_server(tpms.server) as running, dial(running.port) as wire:
        heard = await honest.greet(wire)
    replaying = FakeServer(evidence=heard.evidence, nonce=heard.nonce)
    async with listening(replaying.meet) as port:
        with pytest.raises(PeerNotAcceptedError, match=r"tpm\.binding"):
            await meet(port, tpms)


async def test_evidence_for_a_stale_nonce(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running, dial(running.port) as wire:
        client = FakeClient(tpms.client)
        await client.greet(wire)
        client.heard = ServerHello(nonce=bytes(32))
        verdict = await client.attest(wire)
        assert verdict.code == CODE_NOT_ACCEPTED
        assert running.recorder.mismatches == ["tpm.binding"]


async def test_evidence_of_another_connection_at_the_same_time(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running, dial(running.port) as other:
        await refuse(running, FakeClient(tpms.client, facts=other.facts))


async def test_evidence_bound_to_another_tls_key(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running, dial(running.port) as wire:
        client = FakeClient(tpms.client, facts=replace(wire.facts, server_key=b"another"))
        verdict = await client.meet(wire)
        assert verdict.code == CODE_NOT_ACCEPTED
        assert running.recorder.mismatches == ["tpm.binding"]


async def test_the_first_frame_again_instead_of_the_second(tpms: Machines) -> None:
    """The bytes of a hello are read as evidence, and they are none."""
    async with echo_server(tpms.server, tpms.verifier) as running, dial(running.port) as wire:
        client = FakeClient(tpms.client)
        await client.greet(wire)
        wire.send(ClientHello(version=client.version, nonce=client.nonce))
        assert (await wire.receive(Verdict)).code != CODE_ACCEPTED
        assert await wire.rest() == b""
        assert running.recorder.passed == []


async def test_a_frame_that_is_sent_twice(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running, dial(running.port) as wire:
        client = FakeClient(tpms.client)
        await client.greet(wire)
        frame = ClientEvidence(evidence=await client.make_evidence(wire))
        wire.send(frame, frame)
        assert await wire.rest() == b""
        assert (await running.recorder.outcome()).reasons == [Reason.PROTOCOL]


async def test_a_client_of_another_variant(tpms: Machines, plain: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        verdict = await verdict_of(running, FakeClient(plain.client))
        assert verdict.code == CODE_NOT_ACCEPTED
        assert "expected one of qemu-vtpm, got insecure" in running.recorder.refusals[0].detail


async def test_a_variant_that_the_verifier_does_not_name_is_not_even_judged(tpms: Machines, plain: Machines) -> None:
    class Careless:
        variants = frozenset({Variant.QEMU_VTPM})
        judge = plain.verifier.judge

    async with echo_server(tpms.server, Careless()) as running:
        verdict = await verdict_of(running, FakeClient(plain.client))
        assert verdict.code == CODE_NOT_ACCEPTED


async def test_a_server_of_another_variant(tpms: Machines, plain: Machines) -> None:
    async with echo_server(plain.server) as running:
        with pytest.raises(PeerNotAcceptedError, match="expected one of qemu-vtpm, got insecure"):
            await meet(running.port, tpms)


async def test_a_quote_under_the_name_of_another_variant(tpms: Machines) -> None:
    verifier = PolicyVerifier(policies=[Policy.from_mapping({"variant": "insecure"})])
    async with echo_server(tpms.server, verifier) as running, dial(running.port) as wire:
        client = FakeClient(tpms.client)
        await client.greet(wire)
        quoted = Evidence.from_json(await client.make_evidence(wire))
        client.evidence = replace(quoted, variant=Variant.INSECURE).to_json()
        verdict = await client.attest(wire)
        assert verdict.code == CODE_NOT_ACCEPTED
        assert running.recorder.mismatches == ["evidence.parts"]


async def test_the_clients_nonce_sent_back(tpms: Machines) -> None:
    async with listening(FakeServer(tpms.server, echoes=True).meet) as port:
        with pytest.raises(InsecureConnectionError, match="sent ours back"):
            await meet(port, tpms)
