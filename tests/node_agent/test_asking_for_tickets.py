# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a node asks: again where that may help, elsewhere where a service is a stranger, and no more after a refusal."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from grpclib import GRPCError, Status

from attestation.case import Mark
from attestation.errors import DeviceError
from attestation.insecure import InsecureIssuer
from attestation.issuer import Devices, issuer_for
from attestation.policy import Policy
from attestation.testing.tpm import SoftwareTpm
from attestation.variant import Variant
from constellation_core.channel.server import AttestedServer
from constellation_core.channel.verifier import PolicyVerifier
from constellation_core.testing.watching import until
from constellation_proto import join_pb2
from constellation_proto.join_grpc import JoinBase
from node_agent import joining
from node_agent.errors import PermanentError, StrangerError, TemporaryError
from node_agent.joining import JoinRequest, Service, ask_again, ask_for_ticket, certificate_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from grpclib.server import Stream

    from attestation.evidence import Evidence
    from attestation.issuer import Issuer
    from constellation_core.channel.verifier import Verifier

MEASUREMENTS = {"4": {"expected": "00" * 32, "enforced": True}}
OTHERS = {"4": {"expected": "ab" * 32, "enforced": True}}
TICKET = join_pb2.Ticket(mesh_address="10.213.1.1")
SHORT = 0.3  # seconds


def verifier(measurements: object = MEASUREMENTS) -> Verifier:
    policy = Policy.from_mapping({"variant": "qemu-vtpm", "measurements": measurements})
    return PolicyVerifier(policies=[policy], mark=Mark.ANY)


def machine() -> Issuer:
    return issuer_for(Variant.QEMU_VTPM, Devices(tpm=SoftwareTpm()))


def request() -> JoinRequest:
    return JoinRequest.new(
        "worker-0", join_pb2.ROLE_WORKER, disk=str(uuid.uuid4()), wireguard_public_key=os.urandom(32)
    )


@dataclass
class FakeService(JoinBase):
    """A join service that answers what it is told to, in this order; then it gives tickets."""

    answers: list[Exception] = field(default_factory=list)
    asked: list[join_pb2.IssueTicketRequest | join_pb2.IssueRejoinTicketRequest] = field(default_factory=list)
    answer: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Answer, until a test says something else."""
        self.answer.set()

    async def IssueTicket(self, stream: Stream[join_pb2.IssueTicketRequest, join_pb2.Ticket]) -> None:  # noqa: N802
        self.asked.append(await stream.recv_message() or join_pb2.IssueTicketRequest())
        await self.answer.wait()
        if self.answers:
            raise self.answers.pop(0)
        await stream.send_message(TICKET)

    async def IssueRejoinTicket(  # noqa: N802
        self, stream: Stream[join_pb2.IssueRejoinTicketRequest, join_pb2.RejoinTicket]
    ) -> None:
        self.asked.append(await stream.recv_message() or join_pb2.IssueRejoinTicketRequest())
        if self.answers:
            raise self.answers.pop(0)
        await stream.send_message(join_pb2.RejoinTicket(mesh_address=TICKET.mesh_address))


@asynccontextmanager
async def listening(
    service: FakeService, *, issuer: Issuer | None = None, judge: Verifier | None = None, port: int = 0
) -> AsyncIterator[Service]:
    server = AttestedServer([service], issuer=issuer or machine(), verifier=judge or verifier())
    await server.start("127.0.0.1", port)
    try:
        yield Service("127.0.0.1", server.port)
    finally:
        await server.close()


def closed_port() -> Service:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return Service("127.0.0.1", server.getsockname()[1])


async def ask(
    *services: Service,
    timeout: float = 10.0,  # noqa: ASYNC109 - passed on
    progress: Callable[[str], None] | None = None,
    issuer: Issuer | None = None,
) -> join_pb2.Ticket:
    return await ask_for_ticket(
        services, request(), verifier=verifier(), issuer=issuer or machine(), timeout=timeout, progress=progress
    )


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "FIRST_PAUSE", 0.01)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


async def test_a_node_gets_its_ticket(service: FakeService) -> None:
    async with listening(service) as address:
        assert await ask(address) == TICKET
    assert len(service.asked) == 1


async def test_a_request_says_all_that_it_must(service: FakeService) -> None:
    wanted = JoinRequest.new(
        "worker-0",
        join_pb2.ROLE_CONTROL_PLANE,
        disk="8c2f9a56-5d2b-4a43-9d0f-0c7f3a1f1d11",
        wireguard_public_key=bytes(range(32)),
        host_key="ssh-ed25519 AAAA",
        addresses=["192.0.2.1"],
    )
    async with listening(service) as address:
        await ask_for_ticket([address], wanted, verifier=verifier(), issuer=machine(), timeout=10)
    assert service.asked == [wanted.message]
    signing = x509.load_der_x509_csr(wanted.message.certificate_request)
    assert signing.subject.rfc4514_string() == "CN=system:node:worker-0,O=system:nodes"
    assert signing.is_signature_valid
    assert signing.public_key() == wanted.key.public_key()


async def test_a_node_that_booted_again_asks_for_its_disk(service: FakeService) -> None:
    wanted = join_pb2.IssueRejoinTicketRequest(disk_uuid=str(uuid.uuid4()), wireguard_public_key=bytes(range(32)))
    async with listening(service) as address:
        ticket = await ask_again([address], wanted, verifier=verifier(), issuer=machine(), timeout=10)
    assert ticket.mesh_address == TICKET.mesh_address
    assert service.asked == [wanted]


def test_the_key_is_not_shown() -> None:
    assert "key" not in repr(request()).replace("wireguard_public_key", "")


@pytest.mark.parametrize(
    "status", [Status.UNAVAILABLE, Status.RESOURCE_EXHAUSTED, Status.DEADLINE_EXCEEDED, Status.UNKNOWN]
)
async def test_what_may_change_is_asked_again(service: FakeService, status: Status) -> None:
    service.answers = [GRPCError(status, "not now")] * 3
    async with listening(service) as address:
        assert await ask(address) == TICKET
    assert len(service.asked) == 4


@pytest.mark.parametrize("status", [Status.INVALID_ARGUMENT, Status.PERMISSION_DENIED, Status.FAILED_PRECONDITION])
async def test_a_refusal_is_the_end(service: FakeService, status: Status) -> None:
    service.answers = [GRPCError(status, "disk: no")]
    async with listening(service) as address:
        with pytest.raises(PermanentError, match="the join service refuses: disk: no"):
            await ask(address, address)
    assert len(service.asked) == 1


async def test_a_bug_of_the_service_is_asked_again(service: FakeService) -> None:
    service.answers = [ValueError("a bug")]
    async with listening(service) as address:
        assert await ask(address) == TICKET


async def test_a_service_that_is_not_there_yet_is_waited_for(service: FakeService) -> None:
    address = closed_port()
    asking = asyncio.create_task(ask(address))
    await asyncio.sleep(0)
    async with listening(service, port=address.port):
        assert await asking == TICKET


async def test_the_next_service_is_asked(service: FakeService) -> None:
    async with listening(service) as address:
        assert await ask(closed_port(), address) == TICKET


async def test_the_end_says_what_came_last() -> None:
    address = closed_port()
    with pytest.raises(
        TemporaryError, match=rf"no ticket within 0\.3 s; last: 127\.0\.0\.1:{address.port}: .*call failed"
    ):
        await ask(address, timeout=SHORT)


async def test_without_a_service_there_is_no_ticket() -> None:
    with pytest.raises(TemporaryError, match="no join service is known") as error:
        await ask(timeout=SHORT)
    assert "metadata" in error.value.hint


async def test_a_service_that_says_nothing_does_not_last_longer_than_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Service("127.0.0.1", silent.getsockname()[1])
        with pytest.raises(TemporaryError, match="no join service has answered yet"):
            await ask(address, timeout=SHORT)


async def test_the_time_is_over_after_a_connection_broke_too(service: FakeService) -> None:
    """Who waits for an answer then is woken up by cancelling it, which time limits must not take for theirs."""
    service.answer.clear()
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(listening(service))
        asking = asyncio.create_task(ask(address, timeout=SHORT))
        await until(lambda: service.asked)
        await stack.aclose()
        with pytest.raises(TemporaryError, match="no ticket within"):
            await asking


async def test_progress_is_told_once(service: FakeService) -> None:
    said: list[str] = []
    service.answers = [GRPCError(Status.UNAVAILABLE, text) for text in ("one", "one", "two", "one")]
    async with listening(service) as address:
        await ask(address, progress=said.append)
    assert said == ["one", "two", "one"]


async def test_a_service_of_another_image_gets_no_evidence(service: FakeService) -> None:
    other = SoftwareTpm()
    other.pcrs[4] = bytes.fromhex("ab" * 32)
    issuer = issuer_for(Variant.QEMU_VTPM, Devices(tpm=other))
    async with listening(service, issuer=issuer) as address:
        with pytest.raises(StrangerError, match=r"the server is not accepted: measurements\.4"):
            await ask(address)
    assert not service.asked


async def test_a_service_without_hardware_gets_no_evidence(service: FakeService) -> None:
    async with listening(service, issuer=InsecureIssuer()) as address:
        with pytest.raises(StrangerError, match=r"evidence\.variant: expected one of qemu-vtpm, got insecure"):
            await ask(address)


async def test_a_service_that_does_not_accept_us_says_why(service: FakeService) -> None:
    async with listening(service, judge=verifier(OTHERS)) as address:
        with pytest.raises(StrangerError, match=r"the server does not accept this machine: measurements\.4"):
            await ask(address)


async def test_what_is_no_join_service_is_a_stranger() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        with pytest.raises(StrangerError, match="no TLS as constellation-attest/1 demands it"):
            await ask(Service("127.0.0.1", server.sockets[0].getsockname()[1]))


async def test_one_stranger_does_not_keep_a_node_out(service: FakeService) -> None:
    """Metadata names services, and anybody may have written it."""
    async with listening(FakeService(), issuer=InsecureIssuer()) as stranger, listening(service) as address:
        assert await ask(stranger, address) == TICKET


async def test_beside_a_stranger_one_that_is_not_there_yet_is_waited_for(service: FakeService) -> None:
    service.answers = [GRPCError(Status.UNAVAILABLE, "not now")] * 2
    async with listening(FakeService(), issuer=InsecureIssuer()) as stranger, listening(service) as address:
        assert await ask(address, stranger) == TICKET


async def test_strangers_only_are_the_end() -> None:
    async with AsyncExitStack() as stack:
        strangers = [
            await stack.enter_async_context(listening(FakeService(), issuer=InsecureIssuer())) for _ in range(2)
        ]
        with pytest.raises(StrangerError):
            await ask(*strangers)


async def test_a_device_that_fails_says_so(service: FakeService) -> None:
    class Broken:
        variant = Variant.QEMU_VTPM

        def issue(self, binding: bytes) -> Evidence:
            raise DeviceError(f"the TPM is gone ({len(binding)})", hint="look at it")

    async with listening(service) as address:
        with pytest.raises(PermanentError, match=r"^the TPM is gone") as error:
            await ask(address, address, issuer=Broken())
    assert error.value.hint == "look at it"


def test_a_certificate_request_is_for_a_node() -> None:
    signing = x509.load_der_x509_csr(certificate_request("worker-0", request().key))
    assert not list(signing.extensions)
