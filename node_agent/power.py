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
        if not await _systemctl("--no-block", "reboot"):
            os.sync()
            await _systemctl("--force", "--force", "reboot")


async def _systemctl(*arguments: str) -> bool:
    """Tell whether the service manager does what it was told."""
    try:
        process = await asyncio.create_subprocess_exec("systemctl", *arguments, stdin=asyncio.subprocess.DEVNULL)
    except OSError:
        return False
    try:
        async with asyncio.timeout(_SECONDS):
            return await process.wait() == 0
    except TimeoutError:
        process.kill()
        await process.wait()
        return False
