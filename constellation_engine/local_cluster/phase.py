# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The names of the phases. What each does: `phases`."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """A phase, in order."""

    INFRASTRUCTURE = "infrastructure"
    INIT = "init"
    SERVICES = "services"
    JOIN = "join"
    VERIFY = "verify"


OF_CLUSTER: Final = (Phase.INIT, Phase.SERVICES, Phase.JOIN, Phase.VERIFY)
"""What makes a cluster of machines that run."""
