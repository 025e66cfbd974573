# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Predicted measurements in words: they are words already, so this only checks the values."""

from __future__ import annotations

import re
from typing import Any, Final

from attestation.errors import MalformedError
from constellation_cli.mapping import parse_mapping

_DIGEST: Final = re.compile(r"(?:[0-9a-f]{64}|[0-9a-f]{96})", re.IGNORECASE)


def describe_measurements(data: bytes) -> dict[str, Any]:
    """Put measurements.json into words.

    Raises:
        MalformedError: a register has no digest.
    """
    record = parse_mapping(data)
    measurements = record["measurements"]
    if not isinstance(measurements, dict):
        raise MalformedError("measurements: expected a mapping from register to {expected, enforced}")
    for register, entry in measurements.items():
        expected = entry.get("expected") if isinstance(entry, dict) else None
        if not isinstance(expected, str) or not _DIGEST.fullmatch(expected):
            raise MalformedError(f"measurements: register {register} has no digest of 64 or 96 hexadecimal digits")
    return {str(key): value for key, value in record.items() if key != "version"}
