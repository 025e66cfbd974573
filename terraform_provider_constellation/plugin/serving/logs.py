# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Python's log as Terraform reads it: one JSON object a line on standard error, in the form of hclog.

TF_LOG_PROVIDER, or else TF_LOG, says what is wanted; Terraform shows each line at its own level.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACE: Final = 5
_LEVELS: Final = {
    "JSON": TRACE,
    "TRACE": TRACE,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
}
_TALKATIVE: Final = ("asyncio", "h2", "hpack", "grpclib")


class HclogFormatter(logging.Formatter):
    """A record as a line of hclog."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the record holds."""
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        line = {
            "@level": _level(record.levelno),
            "@message": message,
            "@module": record.name,
            "@timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        return json.dumps(line)


def start(environment: Mapping[str, str]) -> None:
    """Send the log of this process to Terraform."""
    wanted = environment.get("TF_LOG_PROVIDER") or environment.get("TF_LOG") or "ERROR"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(HclogFormatter())
    logging.addLevelName(TRACE, "TRACE")
    logging.captureWarnings(capture=True)
    logging.basicConfig(level=_LEVELS.get(wanted.upper(), TRACE), handlers=[handler], force=True)
    for name in _TALKATIVE:  # every frame of HTTP/2 is no log of a provider
        logging.getLogger(name).setLevel(logging.WARNING)


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    if number >= logging.INFO:
        return "info"
    return "debug" if number >= logging.DEBUG else "trace"
