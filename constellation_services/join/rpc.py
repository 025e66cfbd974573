# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The RPCs of the join service. Whoever gets here has proved itself; every answer is counted and told."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeVar

import httpx2
from grpclib import GRPCError, Status
from lightkube import ApiError

from constellation_core.channel.http2 import current_peer
from constellation_core.errors import AuthorityError, ConfigError, KeyProviderError, KeyProviderUnavailableError
from constellation_core.roles import Role
from constellation_proto.join_grpc import JoinBase
from constellation_services.join.application import read_application, read_disk, read_renewal
from constellation_services.join.errors import BadRequestError, JoinError, TryAgainError
from constellation_services.join.registry import Applicant, identity_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from grpclib.server import Stream

    from attestation.verdict import Verdict
    from constellation_core.channel.http2 import Peer
    from constellation_proto import join_pb2
    from constellation_services.join.acceptance import Acceptance
    from constellation_services.join.admission import Admission
    from constellation_services.join.facts import Facts
    from constellation_services.join.news import Metrics, News
    from constellation_services.join.tickets import TicketOffice

REQUEST_TIMEOUT: Final = 25.0  # seconds for one ticket; the node asks again
FRESH: Final = timedelta(minutes=1)  # a machine asks within this time after it was judged

_TEMPORARY: Final = frozenset({408, 429, 500, 502, 503, 504})  # answers of an API server that may be others later

_LOG: Final = logging.getLogger(__name__)

_Request = TypeVar("_Request")
_Ticket = TypeVar("_Ticket")


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinService(JoinBase):
    """Answers nodes.

    Attributes:
        acceptance: which machines are accepted, and the rule for control planes.
        admission: decides about roles.
        office: makes tickets.
        facts: of the cluster.
        news: who tells operators.
        metrics: what is counted.
    """

    acceptance: Acceptance
    admission: Admission
    office: TicketOffice
    facts: Facts
    news: News
    metrics: Metrics

    async def IssueTicket(self, stream: Stream[join_pb2.IssueTicketRequest, join_pb2.Ticket]) -> None:  # noqa: N802
        """Let a node in."""
        request = await _receive(stream)
        role = Role.from_message(request.role)
        asked = _Asked("ticket", role.value if role is not None else "unknown")
        ticket = await self._answer(asked, lambda verdict: self._let_in(request, asked, verdict))
        await stream.send_message(ticket)

    async def IssueRejoinTicket(  # noqa: N802 - as the .proto file says
        self, stream: Stream[join_pb2.IssueRejoinTicketRequest, join_pb2.RejoinTicket]
    ) -> None:
        """Let a node open its disk again."""
        request = await _receive(stream)
        asked = _Asked("rejoin", "any")
        ticket = await self._answer(asked, lambda verdict: self._let_in_again(request, asked, verdict))
        await stream.send_message(ticket)

    async def _let_in(self, request: join_pb2.IssueTicketRequest, asked: _Asked, verdict: Verdict) -> join_pb2.Ticket:
        application = read_application(request)
        asked.who = application.name
        applicant = Applicant.of(application, verdict)
        facts, programs = self.facts.current()
        self.office.roster.require_read()
        async with self.admission.admitted(applicant, self.acceptance.control_planes):
            ticket = await self.office.issue(applicant, facts, programs)
        if application.role is Role.CONTROL_PLANE:
            self.news.later(lambda: self.admission.note_admitted(applicant))
        return ticket

    async def _let_in_again(
        self, request: join_pb2.IssueRejoinTicketRequest, asked: _Asked, verdict: Verdict
    ) -> join_pb2.RejoinTicket:
        disk, renewal = read_disk(request.disk_uuid), read_renewal(request)
        asked.who = f"the machine with disk {disk}"
        facts, _ = self.facts.current()
        self.office.roster.require_read()
        return await self.office.issue_again(disk, identity_of(verdict), facts, renewal)

    async def _answer(self, asked: _Asked, make: Callable[[Verdict], Awaitable[_Ticket]]) -> _Ticket:
        peer, start = current_peer(), perf_counter()
        try:
            verdict = self._verdict_of(peer)
            async with asyncio.timeout(REQUEST_TIMEOUT):
                ticket = await make(verdict)
        except Exception as error:  # noqa: BLE001 - whatever it was, the node gets an answer and it is counted
            refusal = _as_refusal(error)
            self._tell_refusal(asked, peer.address, refusal)
            raise GRPCError(refusal.status, str(refusal)) from None
        self.metrics.seconds.labels(kind=asked.kind).observe(perf_counter() - start)
        self.metrics.tickets.labels(kind=asked.kind, role=asked.role, outcome="issued").inc()
        self.news.ticket_issued(asked.kind, f"{asked.who} ({asked.role})")
        return ticket

    def _verdict_of(self, peer: Peer) -> Verdict:
        """Give what was judged of a peer; not by a join-config that holds no more, and not long ago."""
        if peer.verdict is None:
            raise BadRequestError("evidence: expected some, got none", cause="evidence")
        if peer.verdict.at < max(self.acceptance.since, datetime.now(UTC) - FRESH):
            raise TryAgainError("this machine was judged too long ago: connect again", cause="outdated")
        return peer.verdict

    def _tell_refusal(self, asked: _Asked, address: str, refusal: JoinError) -> None:
        self.metrics.tickets.labels(kind=asked.kind, role=asked.role, outcome=refusal.cause).inc()
        hint = f" ({refusal.hint})" if refusal.hint else ""
        who = asked.who or f"a machine at {address}"
        _LOG.warning("no %s for %s: %s%s", asked.kind, who, refusal, hint)
        self.news.tell("TicketRefused", f"no {asked.kind} for {who}: {refusal}{hint}", about=f"{who}: {refusal.cause}")


@dataclass(slots=True)
class _Asked:
    """What somebody asked for, for counting and telling."""

    kind: str
    role: str
    who: str = ""


async def _receive(stream: Stream[_Request, _Ticket]) -> _Request:
    request = await stream.recv_message()
    if request is None:
        raise GRPCError(Status.INVALID_ARGUMENT, "expected a request, got none")
    return request


def _as_refusal(error: Exception) -> JoinError:
    """Say what a node hears of an error. What it says of our services is for the log and not for nodes."""
    match error:
        case JoinError():
            return error
        case ApiError() if error.status.code not in _TEMPORARY:
            return _not_now(error, "api-server")
        case KeyProviderUnavailableError() | TimeoutError() | httpx2.HTTPError() | ConfigError():
            return _not_now(error, "unavailable")
        case KeyProviderError():
            return _not_now(error, "key-service")
        case AuthorityError() | OSError():
            return _not_now(error, "files")
        case _:
            _LOG.exception("this should not happen")
            return _not_now(error, "unexpected")


def _not_now(error: Exception, cause: str) -> TryAgainError:
    said = str(error).partition("\n")[0] or type(error).__name__
    return TryAgainError("the cluster cannot let machines in now", cause=cause, hint=said)
