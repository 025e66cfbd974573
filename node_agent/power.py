# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Boots the machine again, through the service manager."""

from __future__ import annotations

import asyncio
import os
from typing import Final

_SECONDS: Final = 30.0


class MachinePower:
    """The machine that we run on."""

    async def reboot(self) -> None:
        """Boot again: in order, and where that does not begin in time, at once."""
        try:
            async with asyncio.timeout(_SECONDS):
                process = await asyncio.create_subprocess_exec("systemctl", "--no-block", "reboot")
                if await process.wait() == 0:
                    return
        except (OSError, TimeoutError):
            pass
        os.sync()
        await asyncio.create_subprocess_exec("systemctl", "--force", "--force", "reboot")
