# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Logs as JSON lines on stderr: one record, one line, whatever a message holds.

    {"time": "2026-01-31T12:00:00.000Z", "level": "INFO", "logger": "…", "message": "…", …}

What a caller gives as `extra` stands beside these, and never instead of them. Secrets do not appear: their type prints
as `<secret>`.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import TextIO

MAX_MESSAGE: Final = 8192  # characters: peers have a say in some messages
_OF_EVERY_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Level(StrEnum):
    """What is worth a line."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line, without its end."""
        line = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        line |= {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage()[:MAX_MESSAGE],
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_to(stream: TextIO | None = None, *, level: Level = Level.INFO) -> None:
    """Send everything that is logged in this process to a stream, by default stderr, and nothing anywhere else."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
    if level is not Level.DEBUG:
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # one line for each request otherwise
        logging.getLogger("asyncio").setLevel(logging.WARNING)
