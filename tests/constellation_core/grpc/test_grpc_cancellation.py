# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""grpclib wakes up tasks by cancelling them; that is not a cancellation, and time limits around it hold."""

from __future__ import annotations

import asyncio

import pytest
from grpclib.utils import Wrapper

from constellation_core import grpc_cancellation as _repair  # noqa: F401 - importing it is what it takes


async def wait_and_break(wrapper: Wrapper) -> None:
    """Wait for what never comes, until the connection breaks."""
    asyncio.get_running_loop().call_soon(wrapper.cancel, ConnectionResetError("it broke"))
    with pytest.raises(ConnectionResetError), wrapper:
        await asyncio.get_running_loop().create_future()


async def test_who_was_woken_up_is_not_cancelled() -> None:
    await wait_and_break(Wrapper())
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0


async def test_a_time_limit_around_it_holds() -> None:
    async def wait() -> None:
        async with asyncio.timeout(0.01):
            await wait_and_break(Wrapper())
            await asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError):
        await wait()


async def test_who_is_cancelled_is_cancelled() -> None:
    async def wait() -> None:
        with Wrapper():
            await asyncio.get_running_loop().create_future()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
