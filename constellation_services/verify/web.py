# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Statements over plain HTTP, for whoever has no client of ours.

    GET /v1/statement?nonce=<64 hexadecimal digits, or 32 bytes in base64url>

    {"evidence": {…}, "node": "worker-1", "nonce": "<hexadecimal>", "version": 1}

Nothing protects the answer on its way, and nothing has to: the evidence signs what was asked. What goes wrong is
`{"error": "…", "hint": "…"}`, and with status 429 the header Retry-After says when to come back.
"""

from __future__ import annotations

import base64
import json
import math
import re
from typing import TYPE_CHECKING, Final

from aiohttp import web

from attestation.errors import AttestationError
from constellation_core.errors import BusyError, CoreError, StatementError
from constellation_services.errors import ServiceError

if TYPE_CHECKING:
    from constellation_services.verify.metrics import VerifyMetrics
    from constellation_services.verify.outcome import Outcome
    from constellation_services.verify.statement_maker import StatementMaker

WAY: Final = "http"
PATH: Final = "/v1/statement"

_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]{64}")
_BASE64URL: Final = re.compile(r"[0-9A-Za-z_-]{42}[AEIMQUYcgkosw048]=?")  # 32 bytes; the last sign carries four bits


class StatementPage:
    """Answers at `PATH`.

    Args:
        maker: makes statements.
        metrics: counts every question.
    """

    def __init__(self, maker: StatementMaker, metrics: VerifyMetrics) -> None:
        self._maker = maker
        self._metrics = metrics

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        """Answer one request."""
        try:
            nonce = read_nonce(request.query.getall("nonce", []))
            statement = await self._maker.make(nonce, address=request.remote or "")
        except (AttestationError, CoreError, ServiceError) as error:
            return _refusal(error, self._metrics.not_given(WAY, error))
        self._metrics.given(WAY)
        return web.Response(body=statement.to_json(), content_type="application/json")


def read_nonce(values: list[str]) -> bytes:
    """Read the nonce of a question.

    Args:
        values: of the parameter.

    Raises:
        StatementError: there is not exactly one, or it is no 32 bytes.
    """
    if len(values) == 1 and _HEXADECIMAL.fullmatch(values[0]):
        return bytes.fromhex(values[0])
    if len(values) == 1 and _BASE64URL.fullmatch(values[0]):
        return base64.urlsafe_b64decode(values[0].rstrip("=") + "=")
    raise StatementError(
        "nonce: expected 32 bytes, once, as 64 hexadecimal digits or as base64url",
        hint=f"GET {PATH}?nonce=$(openssl rand -hex 32)",
    )


def _refusal(error: AttestationError | CoreError | ServiceError, outcome: Outcome) -> web.Response:
    headers = {"Retry-After": str(math.ceil(error.retry_after))} if isinstance(error, BusyError) else {}
    body = json.dumps({"error": str(error), "hint": error.hint}) + "\n"
    return web.Response(status=outcome.http_status, text=body, content_type="application/json", headers=headers)
