# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The RPC `Init` of a control plane that waits for its first boot (protocols, section 4). Over the attested channel.

1. A wrong init secret gets PERMISSION_DENIED and nothing else, whatever the node is doing.
2. A second Init gets FAILED_PRECONDITION, and so does one after the node found a cluster to join.
3. The same request id finds the run that is going on, or has ended: a connection may break.
4. A run that failed says INVALID_ARGUMENT where nothing has happened, and ABORTED where the node boots again.
5. `Acknowledge` ends all this: whoever asked has kept the answer, and nobody has anything to ask here any more.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NoReturn

from grpclib import GRPCError, Status

from constellation_core.channel.http2 import current_peer
from constellation_core.errors import BusyError
from constellation_proto import init_pb2
from constellation_proto.init_grpc import InitBase
from node_agent.errors import AgentError, PermanentError
from node_agent.init_run import InitRun
from node_agent.loops import words

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpclib.server import Stream

    from node_agent.secret_guard import SecretGuard

BUSY: Final = "this node is asked too often: try again in a moment"


class InitService(InitBase):
    """Answers administrators.

    Args:
        guard: knows the init secret.
        begin: told of a run that is to begin.

    Attributes:
        acknowledged: set when the answer to a run is in safe hands.
    """

    def __init__(self, guard: SecretGuard, begin: Callable[[InitRun], None]) -> None:
        self._guard = guard
        self._begin = begin
        self._run: InitRun | None = None
        self._closed = ""
        self._failure = Status.ABORTED
        self.acknowledged = asyncio.Event()

    def open(self) -> None:
        """Let runs begin."""
        self._closed = ""

    def close(self, reason: str) -> None:
        """Begin no run any more; say why to whoever asks, or has asked in this moment."""
        self._closed = reason
        if self._run is not None and not self._run.over:
            self.fail(self._run, PermanentError(reason), lasting=False)

    def fail(self, run: InitRun, error: AgentError, *, lasting: bool) -> None:
        """End a run.

        Args:
            run: which.
            error: why.
            lasting: whether something has happened already, so that no other run may begin.
        """
        run.fail(error)
        self._failure = Status.ABORTED if lasting else Status.INVALID_ARGUMENT
        if not lasting:
            self._run = None

    async def Init(self, stream: Stream[init_pb2.InitRequest, init_pb2.InitEvent]) -> None:  # noqa: N802
        """Make this node the first of a cluster."""
        request = await stream.recv_message() or init_pb2.InitRequest()
        await self._require_secret(request.init_secret)  # 1
        request.init_secret = b""  # it has done its work
        try:
            async for event in self._run_of(request).follow():
                await stream.send_message(event)
        except AgentError as error:
            raise GRPCError(self._failure, words(error)) from None

    async def Acknowledge(  # noqa: N802 - as the .proto file says
        self, stream: Stream[init_pb2.AcknowledgeRequest, init_pb2.AcknowledgeResponse]
    ) -> None:
        """Take note that the answer to a run is in safe hands."""
        request = await stream.recv_message() or init_pb2.AcknowledgeRequest()
        await self._require_secret(request.init_secret)  # 1
        run = self._run
        if run is None or run.request.request_id != request.request_id or not run.succeeded:
            _refuse("there is no answer to this request yet")
        await stream.send_message(init_pb2.AcknowledgeResponse())
        self.acknowledged.set()  # 5

    async def _require_secret(self, secret: bytes) -> None:
        try:
            known = await self._guard.knows(secret, current_peer().address)
        except BusyError:
            raise GRPCError(Status.RESOURCE_EXHAUSTED, BUSY) from None
        if not known:
            raise GRPCError(Status.PERMISSION_DENIED)

    def _run_of(self, request: init_pb2.InitRequest) -> InitRun:
        if self._run is not None:
            if self._run.request.request_id == request.request_id:  # 3
                return self._run
            _refuse("this node is being initialised, or was, by another request")  # 2
        if self._closed:
            _refuse(self._closed)  # 2
        if not request.request_id:
            raise GRPCError(Status.INVALID_ARGUMENT, "request_id: expected a UUID, got none")
        self._run = InitRun(request)
        self._begin(self._run)
        return self._run


def _refuse(reason: str) -> NoReturn:
    raise GRPCError(Status.FAILED_PRECONDITION, reason)
