# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Statements over the attested channel: `constellation.verify.v1.Verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grpclib import GRPCError, Status

from attestation.errors import AttestationError
from constellation_core.channel.http2 import current_peer
from constellation_core.errors import CoreError
from constellation_proto import verify_pb2
from constellation_proto.verify_grpc import VerifyBase
from constellation_services.errors import ServiceError

if TYPE_CHECKING:
    from grpclib.server import Stream

    from constellation_services.verify.metrics import VerifyMetrics
    from constellation_services.verify.statement_maker import StatementMaker

WAY: Final = "channel"


class VerifyRpc(VerifyBase):
    """The service's methods.

    Args:
        maker: makes statements.
        metrics: counts every question.
    """

    def __init__(self, maker: StatementMaker, metrics: VerifyMetrics) -> None:
        self._maker = maker
        self._metrics = metrics

    async def GetStatement(  # noqa: N802 - the name of the method
        self, stream: Stream[verify_pb2.GetStatementRequest, verify_pb2.Statement]
    ) -> None:
        """Have this node sign a nonce."""
        request = await stream.recv_message()
        if request is None:
            raise GRPCError(Status.INVALID_ARGUMENT, "expected a request")
        try:
            statement = await self._maker.make(request.nonce, address=current_peer().address)
        except (AttestationError, CoreError, ServiceError) as error:
            outcome = self._metrics.not_given(WAY, error)
            raise GRPCError(outcome.status, f"{error}; {error.hint}".removesuffix("; ")) from None
        self._metrics.given(WAY)
        await stream.send_message(verify_pb2.Statement(evidence=statement.evidence.to_json(), node=statement.node))
