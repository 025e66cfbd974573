# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The audit of the key service: one line of JSON for every key that was given or refused; never the key.

{"time": "2026-01-31T12:00:00.000+00:00", "event": "key", "id": "state-disk/…", "outcome": "given", "caller":
"constellation-system/join-service", "pod": "join-service-x7k2p", "node": "control-plane-0", "address": "10.244.0.7"}
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from constellation_services.keys.outcome import Outcome
    from constellation_services.keys.token_review import Caller

MAX_ID: Final = 80  # characters of an id that a caller made up


class Audit:
    """Writes the audit. A line that cannot be written is an error: no key is given without one.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, key_id: str, outcome: Outcome, caller: Caller | None, address: str, reason: str = "") -> None:
        """Write one line.

        Args:
            key_id: which key.
            outcome: what came of it.
            caller: who asked; None where we do not know.
            address: where the request came from.
            reason: why it was refused.

        Raises:
            OSError: it cannot be written.
        """
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": "key",
            "id": key_id[:MAX_ID],
            "outcome": outcome,
            "caller": caller.account if caller else "",
            "pod": caller.pod if caller else "",
            "node": caller.node if caller else "",
            "address": address,
        }
        self._stream.write(json.dumps(line | {"reason": reason} if reason else line) + "\n")
        self._stream.flush()
