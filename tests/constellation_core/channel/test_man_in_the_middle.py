# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Relays with the server's own TLS key: what attestation inside the handshake lets through, and this does not.

Real TPMs, real sockets. Both sides are tried apart: with a client that looks, and with one that looks at everything but
the binding, so that it is the server that has to refuse.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from constellation_core.channel.client import attested_channel
from constellation_core.channel.refusals import Reason
from constellation_core.channel.tls import ServerKey
from constellation_core.errors import PeerNotAcceptedError, RefusedError
from constellation_core.testing.devices import GullibleVerifier, Machines
from constellation_core.testing.echo import EchoServer, echo_server, say
from constellation_core.testing.man_in_the_middle import man_in_the_middle
from constellation_core.testing.peers import FakeClient, FakeServer
from constellation_core.testing.wire import Wire, dial, listening

if TYPE_CHECKING:
    from constellation_core.channel.verifier import Verifier

SECRET = b"master secret"


def leaked_key(running: EchoServer) -> ServerKey:
    """The key that the server uses now, as a thief of its memory has it."""
    return running.server._keys.current()


async def tell_secret(port: int, machines: Machines, verifier: Verifier | None = None) -> None:
    judge = verifier or machines.verifier
    async with attested_channel("127.0.0.1", port, verifier=judge, issuer=machines.client) as channel:
        await say(channel, SECRET)


async def test_without_anybody_in_between_both_sides_accept(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        async with attested_channel("127.0.0.1", running.port, verifier=tpms.verifier, issuer=tpms.client) as channel:
            assert await say(channel, SECRET) == SECRET
            assert channel.verdict.accepted
        verdict = running.echo.peers[0].verdict
        assert verdict is not None
        assert verdict.accepted
        assert verdict.identity != channel.verdict.identity


@pytest.mark.parametrize("leaked", [True, False], ids=["leaked key", "own key"])
async def test_the_client_refuses_a_relay(tpms: Machines, *, leaked: bool) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        key = leaked_key(running) if leaked else ServerKey(datetime.now(UTC))
        async with man_in_the_middle(running.port, key=key) as middle:
            with pytest.raises(PeerNotAcceptedError) as caught:
                await tell_secret(middle.port, tpms)
            assert caught.value.verdict is not None
            assert [reason.name for reason in caught.value.verdict.mismatches] == ["tpm.binding"]
            assert len(middle.to_client) > 1000  # it did see the server's true evidence, and passed it on
            await running.recorder.outcome()
    assert running.recorder.passed == []
    assert not running.echo.peers


@pytest.mark.parametrize("leaked", [True, False], ids=["leaked key", "own key"])
async def test_the_server_refuses_a_relay_on_its_own(tpms: Machines, *, leaked: bool) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        key = leaked_key(running) if leaked else ServerKey(datetime.now(UTC))
        async with man_in_the_middle(running.port, key=key) as middle:
            with pytest.raises(RefusedError) as caught:
                await tell_secret(middle.port, tpms, GullibleVerifier(tpms.verifier))
        assert caught.value.mismatches == ()  # evidence of another connection is that of a stranger
        assert running.recorder.reasons == [Reason.NOT_ACCEPTED]
        verdict = running.recorder.refusals[0].verdict
        assert verdict is not None
        assert [reason.name for reason in verdict.mismatches] == ["tpm.binding"]
    assert running.recorder.passed == []


async def test_the_relay_that_asks_for_evidence_beforehand(tpms: Machines) -> None:
    """It has the server sign for itself, and then hands that to the client in its own name."""
    async with echo_server(tpms.server) as running:
        middle = FakeServer(evidence=b"")

        async def first_ask_then_answer(wire: Wire) -> None:
            async with dial(running.port) as asked:
                heard = await FakeClient().greet(asked)
            middle.evidence, middle.nonce = heard.evidence, heard.nonce
            await middle.meet(wire)

        async with listening(first_ask_then_answer, key=leaked_key(running)) as port:
            with pytest.raises(PeerNotAcceptedError, match=r"tpm\.binding"):
                await tell_secret(port, tpms)
