# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The audit of the key service: one line of JSON for every key that was given, and for refused ones; never the key.

    {"time": "2026-01-31T12:00:00.000+00:00", "event": "key", "id": "state-disk/…", "outcome": "given",
     "caller": "constellation-system/join-service", "pod": …, "node": …, "address": "ipv4:10.244.0.7"}

Of an address that is refused again and again, some lines are left out, and the next line says how many (`unwritten`):
otherwise an attacker could fill the log until what was written before is thrown away.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TextIO

from constellation_services.keys.outcome import Outcome
from constellation_services.keys.rate_limit import Rate, RateLimiter

if TYPE_CHECKING:
    from constellation_services.keys.token_review import Caller

MAX_ID: Final = 80  # characters of an id that a caller made up
REFUSALS: Final = Rate(per_second=2, burst=200)
"""How many refusals of one address are written."""


class Audit:
    """Writes the audit. A line that cannot be written is an error: no key is given without one.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._limiter = RateLimiter()
        self._unwritten = 0

    def write(self, key_id: str, outcome: Outcome, caller: Caller | None, address: str, reason: str = "") -> None:
        """Write one line; or, of an address that was refused too often, only count it.

        Args:
            key_id: which key.
            outcome: what came of it.
            caller: who asked; None where we do not know.
            address: where the request came from.
            reason: why it was refused.

        Raises:
            OSError: it cannot be written.
        """
        if outcome is not Outcome.GIVEN and self._limiter.take(address, REFUSALS):
            self._unwritten += 1
            return
        line: dict[str, str | int] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": "key",
            "id": key_id[:MAX_ID],
            "outcome": outcome,
            "caller": caller.account if caller else "",
            "pod": caller.pod if caller else "",
            "node": caller.node if caller else "",
            "address": address,
        }
        if reason:
            line["reason"] = reason
        if self._unwritten:
            line["unwritten"] = self._unwritten
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()
        self._unwritten = 0
