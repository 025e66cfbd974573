# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The phases of a node's life, and their journal `/run/constellation/phases.jsonl`: one JSON object per line.

    {"time": "2026-01-31T12:00:00.000Z", "uptime": 31.2, "phase": "waiting", "detail": "for init on port 9000"}

The journal is in memory and ends with the boot. It holds what everybody may know.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from node_agent.files import append_public

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME: Final = "phases.jsonl"


class Phase(StrEnum):
    """What a node is doing. Design, section 2."""

    STARTING = "starting"  # what is this machine, and what did it boot?
    METADATA = "metadata"  # who is it to be?
    WAITING = "waiting"  # first boot: for init, or for a join service that lets it in
    INITIALIZING = "initializing"  # becomes the first node of a cluster
    JOINING = "joining"  # has a ticket
    LOCKED = "locked"  # later boot: waits for the key of its disk
    UNLOCKING = "unlocking"  # has the key
    STARTING_KUBERNETES = "starting-kubernetes"
    SERVING = "serving"  # a node of its cluster
    FAILED = "failed"  # cannot go on, and booting again would not help
    REBOOTING = "rebooting"  # cannot go on; its keys are gone
    STOPPING = "stopping"  # was told to end


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal.

    Attributes:
        time: aware UTC.
        uptime: seconds since power-on.
        phase: that began, or goes on.
        detail: what there is to say, for people.
    """

    time: datetime
    uptime: float
    phase: Phase
    detail: str

    @classmethod
    def now(cls, phase: Phase, detail: str) -> Entry:
        """Make an entry with the clocks of this machine."""
        return cls(datetime.now(UTC), time.clock_gettime(time.CLOCK_BOOTTIME), phase, detail)

    def to_line(self) -> bytes:
        """Give the line with its end."""
        record = asdict(self) | {
            "time": self.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "uptime": round(self.uptime, 3),
        }
        return json.dumps(record).encode("ascii") + b"\n"


class Journal:
    """Appends to the journal.

    Args:
        folder: where it is; made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._path = folder / FILE_NAME

    def write(self, entry: Entry) -> None:
        """Append an entry."""
        append_public(self._path, entry.to_line())

    def entered(self) -> dict[Phase, float]:
        """Read when each phase began last in this boot: phase → seconds of uptime, in this order."""
        begun: dict[Phase, float] = {}
        for record in map(json.loads, self._path.read_bytes().splitlines()):
            if (phase := Phase(record["phase"])) != next(reversed(begun), None):
                begun.pop(phase, None)
                begun[phase] = record["uptime"]
        return begun
