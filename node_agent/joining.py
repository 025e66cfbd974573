# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How a node asks the join service for its ticket, and asks again until it gets an answer that will not change.

    request = JoinRequest.new("worker-3", Role.WORKER, disk=uuid, wireguard_public_key=key)
    ticket = await ask_for_ticket(services, request, verifier=verifier, issuer=issuer, timeout=600)

Asking is safe to repeat: the service binds name and disk to this machine, and gives the same node the same answer.
"""

# ruff: noqa: ASYNC109 - the timeout covers all attempts and says in the end what the last one said

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from grpclib import GRPCError, Status
from grpclib.exceptions import StreamTerminatedError

from attestation.errors import AttestationError
from constellation_core.channel.client import attested_channel
from constellation_core.errors import ChannelError, PeerUnavailableError
from constellation_proto import join_pb2
from constellation_proto.join_grpc import JoinStub
from node_agent.errors import PermanentError, StrangerError, TemporaryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from attestation.issuer import Issuer
    from constellation_core.channel.verifier import Verifier

FIRST_PAUSE: Final = 0.2  # seconds between the first two attempts
LONGEST_PAUSE: Final = 3.0
ATTEMPT: Final = 45.0  # seconds for one attempt: the exchange, and the service's own limit

_TEMPORARY: Final = frozenset({Status.UNAVAILABLE, Status.RESOURCE_EXHAUSTED, Status.DEADLINE_EXCEEDED, Status.UNKNOWN})

_Ticket = TypeVar("_Ticket")


@dataclass(frozen=True, slots=True)
class Service:
    """Where a join service may be; metadata says so, evidence decides.

    Attributes:
        host: name or address.
        port: TCP port.
    """

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What a node asks for.

    Attributes:
        message: as it is sent.
        key: private half of the kubelet's certificate.
    """

    message: join_pb2.IssueTicketRequest
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def new(
        cls,
        name: str,
        role: join_pb2.Role,
        *,
        disk: str,
        wireguard_public_key: bytes,
        host_key: str = "",
        addresses: Sequence[str] = (),
    ) -> JoinRequest:
        """Make a request, with a new key for the kubelet.

        Args:
            name: of the node.
            role: what it is to be.
            disk: LUKS UUID of its state disk.
            wireguard_public_key: 32 bytes.
            host_key: one OpenSSH line.
            addresses: where its peers reach it.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        message = join_pb2.IssueTicketRequest(
            disk_uuid=disk,
            certificate_request=certificate_request(name, key),
            role=role,
            wireguard_public_key=wireguard_public_key,
            host_key=host_key,
            addresses=addresses,
        )
        return cls(message, key)


def certificate_request(name: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Make the request for a kubelet's certificate: PKCS #10, DER."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{name}"),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


async def ask_for_ticket(
    services: Sequence[Service],
    request: JoinRequest,
    *,
    verifier: Verifier,
    issuer: Issuer,
    timeout: float,
    progress: Callable[[str], None] | None = None,
) -> join_pb2.Ticket:
    """Ask until there is a ticket.

    Args:
        services: where to ask, one after the other.
        request: what for.
        verifier: who judges the service.
        issuer: evidence of this node.
        timeout: seconds for everything.
        progress: told why it goes on, whenever that changes.

    Raises:
        PermanentError: the answer will not change: refused, or no service is acceptable.
        TemporaryError: the time is over; says what came last.
    """
    return await _insist(
        services,
        lambda stub: stub.IssueTicket(request.message, timeout=ATTEMPT),
        verifier=verifier,
        issuer=issuer,
        timeout=timeout,
        progress=progress,
    )


async def ask_again(
    services: Sequence[Service],
    request: join_pb2.IssueRejoinTicketRequest,
    *,
    verifier: Verifier,
    issuer: Issuer,
    timeout: float,
    progress: Callable[[str], None] | None = None,
) -> join_pb2.RejoinTicket:
    """Ask for what opens the disk of a node that booted again; as `ask_for_ticket`."""
    return await _insist(
        services,
        lambda stub: stub.IssueRejoinTicket(request, timeout=ATTEMPT),
        verifier=verifier,
        issuer=issuer,
        timeout=timeout,
        progress=progress,
    )


async def _insist(
    services: Sequence[Service],
    ask: Callable[[JoinStub], Awaitable[_Ticket]],
    *,
    verifier: Verifier,
    issuer: Issuer,
    timeout: float,
    progress: Callable[[str], None] | None,
) -> _Ticket:
    last = TemporaryError("no join service has answered yet")
    pause = FIRST_PAUSE
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout) as limit:
            while not limit.expired():  # what breaks in the same moment may hide that the time is over
                try:
                    return await _ask_each(services, ask, verifier, issuer)
                except TemporaryError as error:
                    if progress is not None and str(error) != str(last):
                        progress(str(error))
                    last = error
                # Nodes that started together must not come back together.
                await asyncio.sleep(max(last.delay, pause * random.uniform(0.5, 1.5)))  # noqa: S311
                pause = min(2 * pause, LONGEST_PAUSE)
    raise TemporaryError(f"no ticket within {timeout:g} s; last: {last}", hint=last.hint)


async def _ask_each(
    services: Sequence[Service], ask: Callable[[JoinStub], Awaitable[_Ticket]], verifier: Verifier, issuer: Issuer
) -> _Ticket:
    """Ask one service after the other. Metadata names them, which anybody may have written: one of them is not all."""
    temporary = TemporaryError("no join service is known", hint="does the metadata name control planes?")
    strangers = []
    for service in services:
        try:
            return await _attempt(service, ask, verifier, issuer)
        except TemporaryError as error:
            temporary = error
        except StrangerError as error:
            strangers.append(error)
    if services and len(strangers) == len(services):
        raise strangers[-1]
    raise temporary


async def _attempt(
    service: Service, ask: Callable[[JoinStub], Awaitable[_Ticket]], verifier: Verifier, issuer: Issuer
) -> _Ticket:
    try:
        async with attested_channel(service.host, service.port, verifier=verifier, issuer=issuer) as channel:
            return await ask(JoinStub(channel))
    except GRPCError as error:
        if error.status in _TEMPORARY:
            raise TemporaryError(error.message or error.status.name) from None
        raise PermanentError(f"the join service refuses: {error.message or error.status.name}") from None
    except (PeerUnavailableError, StreamTerminatedError, OSError) as error:
        raise TemporaryError(str(error) or type(error).__name__) from None
    except AttestationError as error:
        raise PermanentError(str(error), hint=error.hint) from None
    except ChannelError as error:
        raise StrangerError(f"{service.host}:{service.port}: {error}", hint=error.hint) from None
