# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence that is bound to this very connection, and not enough: a debugged guest, another image, none at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from attestation.errors import DeviceError
from attestation.policy import Policy
from attestation.testing.node import FakeNode
from attestation.variant import Variant
from constellation_core.channel.client import attested_channel
from constellation_core.channel.refusals import Reason
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.errors import ConfigError, PeerNotAcceptedError, PeerUnavailableError, RefusedError
from constellation_core.testing.devices import BrokenIssuer, NodeIssuer
from constellation_core.testing.echo import EchoServer, echo_server, say
from constellation_core.testing.peers import FakeClient, FakeServer
from constellation_core.testing.wire import dial, listening
from constellation_proto.attest_pb2 import (
    CODE_ACCEPTED,
    CODE_BAD_REQUEST,
    CODE_BUSY,
    CODE_NOT_ACCEPTED,
    CODE_UNAVAILABLE,
    ClientEvidence,
    Mismatch,
    Verdict,
)

if TYPE_CHECKING:
    from attestation.issuer import Issuer
    from constellation_core.channel.verifier import Verifier
    from constellation_core.testing.devices import Machines

HARDWARE = [variant for variant in Variant if variant is not Variant.INSECURE]
NOT_JSON = [
    b"{",
    b"[]",
    b"\xff",
    b'{"version":1,"variant":"qemu-vtpm","more":0}',
    b'{"version":1,"variant":"mainframe"}',
]


def node(variant: Variant) -> FakeNode:
    return FakeNode(variant, at=datetime.now(UTC))


def verifier_of(machine: FakeNode, **changes: object) -> PolicyVerifier:
    """Accept a machine as it was when it booted."""
    return PolicyVerifier(policies=[Policy.from_mapping(machine.policy() | changes)], roots=machine.roots)


async def verdict_of(running: EchoServer, client: FakeClient) -> Verdict:
    async with dial(running.port) as wire:
        return await client.meet(wire)


async def connect(port: int, verifier: Verifier, issuer: Issuer | None = None) -> None:
    async with attested_channel("127.0.0.1", port, verifier=verifier, issuer=issuer) as channel:
        await say(channel, b"hello")


@pytest.mark.parametrize("variant", HARDWARE, ids=str)
async def test_hardware_can_attest_both_sides(variant: Variant) -> None:
    machine = node(variant)
    verifier = verifier_of(machine)
    async with echo_server(NodeIssuer(machine), verifier) as running:
        await connect(running.port, verifier, NodeIssuer(machine))
        (peer,) = running.echo.peers
        assert peer.verdict is not None
        assert peer.verdict.genuine


def debugged(machine: FakeNode) -> None:
    machine.snp.debug = True


def another_vmpl(machine: FakeNode) -> None:
    machine.snp.vmpl = 2


def another_kernel(machine: FakeNode) -> None:
    machine.snp.measurement = bytes(48)


DEFECTS = {"allow_debug": debugged, "vmpl": another_vmpl, "launch_digests": another_kernel}


@pytest.mark.parametrize("name", DEFECTS)
async def test_a_snp_client_is_refused_and_told_why(name: str) -> None:
    """It is genuine: whoever runs it may know what is wrong with it."""
    machine = node(Variant.QEMU_SNP)
    verifier = verifier_of(machine)
    DEFECTS[name](machine)
    async with echo_server(NodeIssuer(node(Variant.QEMU_SNP)), verifier) as running:
        verdict = await verdict_of(running, FakeClient(NodeIssuer(machine)))
        assert verdict.code == CODE_NOT_ACCEPTED
        assert [reason.name for reason in verdict.mismatches] == [name]
        assert running.recorder.mismatches == [name]


@pytest.mark.parametrize("name", DEFECTS)
async def test_a_snp_server_is_refused(name: str) -> None:
    machine = node(Variant.QEMU_SNP)
    verifier = verifier_of(machine)
    DEFECTS[name](machine)
    async with echo_server(NodeIssuer(machine)) as running:
        with pytest.raises(PeerNotAcceptedError) as caught:
            await connect(running.port, verifier)
        assert caught.value.verdict is not None
        assert [reason.name for reason in caught.value.verdict.mismatches] == [name]


async def test_a_genuine_client_hears_every_mismatch(tpms: Machines) -> None:
    nobody = {str(register): {"expected": "11" * 32, "enforced": True} for register in (4, 9, 11)}
    verifier = PolicyVerifier(policies=[Policy.from_mapping({"variant": "qemu-vtpm", "measurements": nobody})])
    async with echo_server(tpms.server, verifier) as running:
        with pytest.raises(RefusedError) as caught:
            await connect(running.port, tpms.verifier, tpms.client)
        assert [reason.name for reason in caught.value.mismatches] == [f"measurements.{name}" for name in (4, 9, 11)]
        assert "measurements.4: expected 1111" in str(caught.value)
        assert running.recorder.reasons == [Reason.NOT_ACCEPTED]


async def test_a_stranger_hears_no_mismatch() -> None:
    machine, impostor = node(Variant.QEMU_SNP), node(Variant.QEMU_SNP)
    verifier = verifier_of(machine)
    impostor.snp.measurement = bytes(48)
    impostor.snp.signature_r = 1
    async with echo_server(NodeIssuer(machine), verifier) as running:
        verdict = await verdict_of(running, FakeClient(NodeIssuer(impostor)))
        assert verdict.code == CODE_NOT_ACCEPTED
        assert not verdict.mismatches
        assert running.recorder.mismatches == ["snp.signature"]


async def test_no_evidence_where_it_is_demanded(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        verdict = await verdict_of(running, FakeClient(will_attest=False))
        assert verdict.code == CODE_NOT_ACCEPTED
        assert not verdict.mismatches
        assert "expected some, got none" in running.recorder.refusals[0].detail


async def test_a_client_that_announces_evidence_and_sends_none(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        verdict = await verdict_of(running, FakeClient(tpms.client, will_attest=True, evidence=b""))
        assert verdict.code == CODE_NOT_ACCEPTED
        assert running.recorder.passed == []


async def test_our_client_without_a_device_says_so(tpms: Machines) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        with pytest.raises(RefusedError, match="demands evidence and this client has none"):
            await connect(running.port, tpms.verifier)
        assert (await running.recorder.outcome()).passed == []


async def test_a_server_without_evidence(tpms: Machines) -> None:
    async with listening(FakeServer(evidence=b"").meet) as port:
        with pytest.raises(PeerNotAcceptedError, match="expected some, got none"):
            await connect(port, tpms.verifier, tpms.client)


@pytest.mark.parametrize("evidence", NOT_JSON, ids=repr)
async def test_evidence_that_cannot_be_read(tpms: Machines, evidence: bytes) -> None:
    async with echo_server(tpms.server, tpms.verifier) as running:
        verdict = await verdict_of(running, FakeClient(evidence=evidence))
        assert verdict.code == CODE_BAD_REQUEST
        assert running.recorder.reasons == [Reason.NOT_ACCEPTED]
    async with listening(FakeServer(evidence=evidence).meet) as port:
        with pytest.raises(PeerNotAcceptedError, match="cannot be read"):
            await connect(port, tpms.verifier)


async def test_our_client_sends_no_evidence_to_whom_it_does_not_accept(tpms: Machines) -> None:
    server = FakeServer(evidence=b"", demands_evidence=True)
    async with listening(server.meet) as port:
        with pytest.raises(PeerNotAcceptedError):
            await connect(port, tpms.verifier, tpms.client)
    assert len(server.heard) == 1


async def test_our_client_sends_no_evidence_to_whom_does_not_ask(tpms: Machines) -> None:
    server = FakeServer(tpms.server)
    async with (
        listening(server.meet) as port,
        attested_channel("127.0.0.1", port, verifier=tpms.verifier, issuer=tpms.client),
    ):
        assert server.heard[1] == ClientEvidence()


async def test_a_good_server_that_refuses(tpms: Machines) -> None:
    server = FakeServer(tpms.server, demands_evidence=True)
    server.verdict = Verdict(
        code=CODE_NOT_ACCEPTED, mismatches=[Mismatch(name="vmpl", expected="0", got="2", hint="ask AMD")]
    )
    async with listening(server.meet) as port:
        with pytest.raises(RefusedError, match="vmpl: expected 0, got 2") as caught:
            await connect(port, tpms.verifier, tpms.client)
    assert caught.value.mismatches[0].hint == "ask AMD"


@pytest.mark.parametrize("code", [CODE_BUSY, CODE_UNAVAILABLE])
async def test_a_good_server_that_cannot_now(tpms: Machines, code: int) -> None:
    server = FakeServer(tpms.server)
    server.verdict.code = code  # type: ignore[assignment]
    async with listening(server.meet) as port:
        with pytest.raises(PeerUnavailableError, match="cannot take us now"):
            await connect(port, tpms.verifier, tpms.client)


async def test_a_server_whose_device_fails_says_try_again(plain: Machines) -> None:
    async with echo_server(BrokenIssuer(), plain.verifier) as running:
        with pytest.raises(PeerUnavailableError, match="cannot take us now"):
            await connect(running.port, plain.verifier, plain.client)
        assert running.recorder.reasons == [Reason.OWN_DEVICE]


async def test_a_client_whose_device_fails_knows_it(plain: Machines) -> None:
    async with echo_server(plain.server, plain.verifier) as running:
        with pytest.raises(DeviceError, match="does not answer"):
            await connect(running.port, plain.verifier, BrokenIssuer())
        assert (await running.recorder.outcome()).reasons == [Reason.CLOSED]


async def test_a_verifier_that_fails_lets_nobody_in(plain: Machines) -> None:
    class Broken:
        variants = plain.verifier.variants

        def judge(self, *_arguments: object, **_options: object) -> None:
            raise ZeroDivisionError

    async with echo_server(plain.server, Broken()) as running:  # type: ignore[arg-type]
        with pytest.raises(PeerUnavailableError, match="cannot take us now"):
            await connect(running.port, plain.verifier, plain.client)
        assert running.recorder.reasons == [Reason.UNEXPECTED]


async def test_a_server_that_demands_nothing_believes_nothing(tpms: Machines) -> None:
    """Evidence that nobody asked for is not judged, and its owner stays a stranger."""
    async with echo_server(tpms.server) as running:
        verdict = await verdict_of(running, FakeClient(tpms.client))
        assert verdict.code == CODE_ACCEPTED
        assert running.recorder.passed == [None]


def test_a_verifier_without_any_policy_cannot_be_made() -> None:
    with pytest.raises(ConfigError, match="at least one policy"):
        PolicyVerifier(policies=[])
