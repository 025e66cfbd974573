# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whether this machine's clock is right. The host sets it, and certificates hold from one time until another.

A node whose clock is off fails minutes later, at its first certificate, with words that name everything but the clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from node_agent.errors import PermanentError

TOLERANCE: Final = timedelta(minutes=5)  # as kubeadm and most of TLS's users bear it


def require_right_time(theirs: datetime, whose: str) -> None:
    """Compare the clock with that of somebody who is believed.

    Args:
        theirs: what time it is, aware.
        whose: says so.

    Raises:
        PermanentError: they differ too much.
    """
    ours = datetime.now(UTC)
    if abs(ours - theirs) > TOLERANCE:
        raise PermanentError(
            f"the clock of this machine says {ours:%Y-%m-%d %H:%M} UTC, that of {whose} {theirs:%Y-%m-%d %H:%M} UTC",
            hint="set the clock of its host right, and start it again",
        )
