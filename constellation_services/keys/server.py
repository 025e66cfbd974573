# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The RPC of the key service (package `constellation.keys.v1`)."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Final

from constellation_core.errors import CoreError, KeyProviderUnavailableError
from constellation_proto.keys_pb2 import GetDataKeyRequest, GetDataKeyResponse
from constellation_proto.keys_pb2_grpc import KeysServicer
from constellation_services.errors import KeyRefusedError
from constellation_services.keys.outcome import Outcome, Refusal
from constellation_services.keys.permissions import check_request, class_of, permission_of
from constellation_services.keys.rate_limit import RateLimiter

if TYPE_CHECKING:
    import grpc.aio

    from constellation_core.keys.provider import KeyProvider
    from constellation_core.keys.secret import Secret
    from constellation_services.keys.audit import Audit
    from constellation_services.keys.authentication import Authentication
    from constellation_services.keys.metrics import KeyMetrics
    from constellation_services.keys.token_review import Caller

    Context = grpc.aio.ServicerContext[GetDataKeyRequest, GetDataKeyResponse]

RETRY_AFTER: Final = "grpc-retry-pushback-ms"
"""Trailer that says when to come back (gRPC proposal A6)."""

_log: Final = logging.getLogger(__name__)


class KeyService(KeysServicer):
    """Gives keys to callers that may have them.

    Args:
        provider: where keys come from.
        authentication: tells who calls.
        audit: is told of every request.
        metrics: count every request.
    """

    def __init__(
        self, provider: KeyProvider, authentication: Authentication, audit: Audit, metrics: KeyMetrics
    ) -> None:
        self._provider = provider
        self._authentication = authentication
        self._audit = audit
        self._metrics = metrics
        self._limiter = RateLimiter()

    async def GetDataKey(self, request: GetDataKeyRequest, context: Context) -> GetDataKeyResponse:  # noqa: N802
        """Give a key.

        1. The caller is a pod of this cluster that shows a token made for us. Stops strangers.
        2. It does not ask too often. Stops a caller that went wild from keeping others waiting.
        3. It asks for a key that it may have. Stops one service from reading the disks of another.
        4. The audit knows. Stops keys from going unnoticed: a key whose line cannot be written is not given.
        """
        caller, address = None, _address(context.peer())
        try:
            caller = await self._authentication.caller(_authorization(context), address)  # 1
            key = await self._key(caller, request)  # 2, 3
            self._record(request.id, Outcome.GIVEN, caller, address)  # 4
        except KeyRefusedError as error:
            refusal = error.refusal
        except Exception:  # noqa: BLE001 - whatever it was, the caller must not read it
            _log.exception("a request for a key failed")
            refusal = Refusal(Outcome.FAILED, "internal error")
        else:
            return GetDataKeyResponse(key=key.reveal())
        self._record(request.id, refusal.outcome, caller, address, refusal.reason)
        return await context.abort(refusal.outcome.status, refusal.reason, _trailers(refusal))

    async def _key(self, caller: Caller, request: GetDataKeyRequest) -> Secret:
        if wait := self._limiter.take(f"{caller.account}/{caller.pod_uid}", permission_of(caller.account).rate):  # 2
            raise KeyRefusedError(Refusal(Outcome.LIMITED, "this caller asks too often", wait))
        check_request(caller.account, request.id, request.length)  # 3
        try:
            return await self._provider.data_key(request.id, request.length)
        except KeyProviderUnavailableError as error:
            _log.warning("key provider: %s", error)
            raise KeyRefusedError(Refusal(Outcome.UNAVAILABLE, "the key provider cannot be reached")) from None
        except CoreError as error:
            _log.error("key provider: %s (%s)", error, error.hint)
            raise KeyRefusedError(Refusal(Outcome.FAILED, "the key provider refuses")) from None

    def _record(self, key_id: str, outcome: Outcome, caller: Caller | None, address: str, reason: str = "") -> None:
        self._audit.write(key_id, outcome, caller, address, reason)
        self._metrics.count(outcome, class_of(key_id))


def _authorization(context: Context) -> str:
    """Give the one header of this name; nothing where there are several."""
    shown = [value for name, value in context.invocation_metadata() or () if name == "authorization"]
    return str(shown[0]) if len(shown) == 1 else ""


def _address(peer: str) -> str:
    """Give the address in gRPC's `ipv4:10.0.0.1:4711`, without the port."""
    return peer.rpartition(":")[0]


def _trailers(refusal: Refusal) -> tuple[tuple[str, str], ...]:
    wait = refusal.retry_after
    return ((RETRY_AFTER, str(math.ceil(wait * 1000))),) if wait else ()
