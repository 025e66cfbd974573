# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How long operations may take: `timeouts { create = "40m" }`, as users know it from other providers."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from terraform_provider_constellation.plugin.schema.fields import optional
from terraform_provider_constellation.plugin.schema.model import Model

_UNITS: Final = {"h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
_PART: Final = r"(\d+(?:\.\d+)?)(ms|h|m|s)"


def parse_duration(text: str) -> timedelta:
    """Read `1h30m`, as Go writes durations.

    Raises:
        ValueError: this is no duration, or not more than nothing.
    """
    parts = re.findall(_PART, text) if re.fullmatch(f"({_PART})+", text) else []
    try:
        duration = sum((timedelta(**{_UNITS[unit]: float(count)}) for count, unit in parts), timedelta())
    except OverflowError:
        duration = timedelta()
    if duration <= timedelta():
        raise ValueError(f"expected a duration such as 1h30m, got {text!r}")
    return duration


def duration(text: str) -> str | None:
    """Validator of durations."""
    try:
        parse_duration(text)
    except ValueError:
        return "a duration such as 1h30m"
    return None


class Timeouts(Model):
    """How long operations may take, such as `30m` or `1h30m`."""

    create: str | None = optional("How long creating may take.", validators=[duration])
    read: str | None = optional("How long reading may take.", validators=[duration])
    update: str | None = optional("How long updating may take.", validators=[duration])
    delete: str | None = optional("How long deleting may take.", validators=[duration])
