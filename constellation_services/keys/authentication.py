# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Who calls: tokens, what is remembered of them, and how often strangers may make us ask.

What the API server said of a token is remembered under the token's SHA-256: a yes for a minute at most and never longer
than the token lives, a no for five seconds. A pod that was deleted loses its access within that minute (and the API
server's own ten seconds).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
import time
from typing import TYPE_CHECKING, Final

from attestation.errors import MalformedError
from attestation.strict_json import load_object
from constellation_services.errors import KeyRefusedError
from constellation_services.keys.expiring import ExpiringAnswers
from constellation_services.keys.outcome import Outcome, Refusal
from constellation_services.keys.rate_limit import Rate, RateLimiter
from constellation_services.keys.token_review import Caller, review_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightkube import AsyncClient

ACCEPTED_SECONDS: Final = 60.0
REFUSED_SECONDS: Final = 5.0
CAPACITY: Final = 4096  # tokens that are remembered, of each kind
MAX_TOKEN: Final = 8192  # characters; projected tokens have about 1,200
MAX_CLAIMS: Final = 64  # brackets
REVIEWS: Final = Rate(per_second=10, burst=50)
"""How often one address may show a token that we do not know: each makes the API server work."""

_TOKEN: Final = re.compile(r"Bearer ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)")


class Authentication:
    """Tells who calls.

    Args:
        client: may create TokenReviews.
        clock: seconds, monotonic.
        today: seconds since 1970, to compare with tokens.
    """

    def __init__(
        self,
        client: AsyncClient,
        *,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._today = today
        self._accepted: ExpiringAnswers[Caller] = ExpiringAnswers(CAPACITY, clock=clock)
        self._refused: ExpiringAnswers[Refusal] = ExpiringAnswers(CAPACITY, clock=clock)
        self._limiter = RateLimiter(clock=clock)
        self._reviews: dict[bytes, asyncio.Task[Caller | Refusal]] = {}

    async def caller(self, authorization: str, address: str) -> Caller:
        """Tell who shows a token.

        Args:
            authorization: the header, "Bearer …".
            address: where the request came from.

        Raises:
            KeyRefusedError: nobody we know, or the API server cannot say, or the address shows too many tokens.
        """
        shown = _TOKEN.fullmatch(authorization) if len(authorization) <= MAX_TOKEN else None
        if shown is None:
            raise KeyRefusedError(Refusal(Outcome.UNAUTHENTICATED, "expected a service-account token (Bearer)"))
        digest = hashlib.sha256(authorization.encode()).digest()
        answer = self._accepted.get(digest) or self._refused.get(digest)
        if answer is None:
            answer = await asyncio.shield(self._review(shown[1], digest, address))  # others may wait for it too
        if isinstance(answer, Refusal):
            raise KeyRefusedError(answer)
        return answer

    def _review(self, token: str, digest: bytes, address: str) -> asyncio.Task[Caller | Refusal]:
        """Begin to ask the API server; or, if somebody is asking already, wait for the same answer."""
        review = self._reviews.get(digest)
        if review is None:
            if wait := self._limiter.take(address, REVIEWS):
                raise KeyRefusedError(Refusal(Outcome.LIMITED, "too many unknown tokens from this address", wait))
            review = self._reviews[digest] = asyncio.create_task(self._ask(token, digest))
            review.add_done_callback(lambda _: self._reviews.pop(digest))
        return review

    async def _ask(self, token: str, digest: bytes) -> Caller | Refusal:
        answer = await review_token(self._client, token)
        if isinstance(answer, Caller):
            self._accepted.put(digest, answer, min(ACCEPTED_SECONDS, expiry(token) - self._today()))
        elif answer.outcome is Outcome.UNAUTHENTICATED:
            self._refused.put(digest, answer, REFUSED_SECONDS)
        return answer


def expiry(token: str) -> float:
    """Read when a token says that it expires, in seconds since 1970; 0 where it does not say.

    Nothing is verified here: it only shortens how long an answer of the API server is remembered.
    """
    payload = token.split(".")[1]
    try:
        claims = load_object(
            base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)),
            "the token",
            max_size=MAX_TOKEN,
            max_brackets=MAX_CLAIMS,
        )
    except (binascii.Error, MalformedError):
        return 0.0
    said = claims.get("exp")
    return float(said) if type(said) is int and 0 < said < 2**53 else 0.0
