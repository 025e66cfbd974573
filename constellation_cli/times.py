# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Times as commands write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


def show_time(time: datetime | None) -> str | None:
    """Write an aware UTC time (ISO 8601, whole seconds); None for none."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}" if time is not None else None
