# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Peers of the attested channel that keep to the protocol until one line breaks one property.

    client = FakeClient(issuer)
    client.nonce = bytes(31)  # too short
    client.role = Role.SERVER  # evidence for the other role
    client.evidence = recorded  # evidence of an earlier connection
    client.after_evidence = PREFACE  # speaks before the verdict
    async with dial(port) as wire:
        verdict = await client.meet(wire)

    server = FakeServer(issuer, demands_evidence=True)
    server.verdict.code = 99  # nobody knows this code
    async with listening(server.meet) as port:
        ...

They speak through a `constellation_core.testing.wire.Wire`.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from constellation_core.channel.binding import NONCE_SIZE, VERSION, Role
from constellation_proto import attest_pb2

if TYPE_CHECKING:
    from attestation.issuer import Issuer
    from constellation_core.channel.binding import TlsFacts
    from constellation_core.testing.wire import Wire

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # with this a client begins to speak HTTP/2


@dataclass(slots=True)
class FakeClient:
    """A client.

    Attributes:
        issuer: what makes its evidence; None where it has none.
        version: what it says it speaks.
        nonce: what it sends.
        will_attest: what it announces.
        role: for which side it makes evidence.
        evidence: what it sends instead of what it would make; empty sends none.
        reflects: whether it sends the server's evidence back instead.
        facts: what its evidence is bound to, instead of its connection.
        after_hello: bytes in the same TLS record behind its first frame.
        after_evidence: bytes in the same TLS record behind its second frame.
        heard: what the server said.
    """

    issuer: Issuer | None = None
    version: str = VERSION
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(NONCE_SIZE))
    will_attest: bool = True
    role: Role = Role.CLIENT
    evidence: bytes | None = None
    reflects: bool = False
    facts: TlsFacts | None = None
    after_hello: bytes = b""
    after_evidence: bytes = b""
    heard: attest_pb2.ServerHello | None = None

    async def meet(self, wire: Wire) -> attest_pb2.Verdict:
        """Go through the exchange.

        Raises:
            EOFError: the server hung up.
        """
        await self.greet(wire)
        return await self.attest(wire)

    async def greet(self, wire: Wire) -> attest_pb2.ServerHello:
        """Do the first half: two hellos."""
        hello = attest_pb2.ClientHello(version=self.version, nonce=self.nonce, will_attest=self.will_attest)
        wire.send(hello, self.after_hello)
        self.heard = await wire.receive(attest_pb2.ServerHello)
        return self.heard

    async def attest(self, wire: Wire) -> attest_pb2.Verdict:
        """Do the second half: evidence and verdict."""
        wire.send(attest_pb2.ClientEvidence(evidence=await self.make_evidence(wire)), self.after_evidence)
        return await wire.receive(attest_pb2.Verdict)

    async def make_evidence(self, wire: Wire) -> bytes:
        """Make what the second half sends."""
        heard = self.heard or attest_pb2.ServerHello()
        if self.reflects:
            return heard.evidence
        if self.evidence is not None or self.issuer is None:
            return self.evidence or b""
        binding = (self.facts or wire.facts).binding(self.role, nonce_of_peer=heard.nonce, own_nonce=self.nonce)
        return (await asyncio.to_thread(self.issuer.issue, binding)).to_json()


@dataclass(slots=True)
class FakeServer:
    """A server.

    Attributes:
        issuer: what makes its evidence; None where it has none.
        demands_evidence: whether clients must attest.
        nonce: what it sends; by default random bytes for each client.
        echoes: whether it sends the client's nonce back instead.
        role: for which side it makes evidence.
        evidence: what it sends instead of what it would make; empty sends none.
        facts: what its evidence is bound to, instead of its connection.
        image: what it says its image is.
        verdict: what it says in the end, to whomever.
        after_hello: bytes in the same TLS record behind its first frame.
        after_verdict: bytes in the same TLS record behind its second frame.
        heard: what clients said, in order.
    """

    issuer: Issuer | None = None
    demands_evidence: bool = False
    nonce: bytes | None = None
    echoes: bool = False
    role: Role = Role.SERVER
    evidence: bytes | None = None
    facts: TlsFacts | None = None
    image: attest_pb2.SignedManifest | None = None
    verdict: attest_pb2.Verdict = field(default_factory=lambda: attest_pb2.Verdict(code=attest_pb2.CODE_ACCEPTED))
    after_hello: bytes = b""
    after_verdict: bytes = b""
    heard: list[attest_pb2.ClientHello | attest_pb2.ClientEvidence] = field(default_factory=list)

    async def meet(self, wire: Wire) -> None:
        """Go through the exchange with one client."""
        hello = await wire.receive(attest_pb2.ClientHello)
        self.heard.append(hello)
        nonce = secrets.token_bytes(NONCE_SIZE) if self.nonce is None else self.nonce
        wire.send(await self._answer(wire, hello, hello.nonce if self.echoes else nonce), self.after_hello)
        self.heard.append(await wire.receive(attest_pb2.ClientEvidence))
        wire.send(self.verdict, self.after_verdict)
        await wire.rest()

    async def _answer(self, wire: Wire, hello: attest_pb2.ClientHello, nonce: bytes) -> attest_pb2.ServerHello:
        evidence = self.evidence or b""
        if self.evidence is None and self.issuer is not None:
            facts = self.facts or wire.facts
            binding = facts.binding(self.role, nonce_of_peer=hello.nonce, own_nonce=nonce)
            evidence = (await asyncio.to_thread(self.issuer.issue, binding)).to_json()
        return attest_pb2.ServerHello(
            nonce=nonce, evidence=evidence, image=self.image, demands_evidence=self.demands_evidence
        )
