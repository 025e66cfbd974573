# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Turns at a device: one at a time, not too often, by address in rotation, and never for ever."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.channel.turns import TurnLimits, Turns
from constellation_core.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Coroutine

MALLORY, ALICE, BOB = "203.0.113.66", "198.51.100.1", "198.51.100.2"
UNLIMITED = TurnLimits(per_second=1e9, burst=1_000_000)


async def settle() -> None:
    """Let every task come to where it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


class Office:
    """Somebody has a turn, others come; then it is written down who was next."""

    def __init__(self, limits: TurnLimits = UNLIMITED) -> None:
        self.turns = Turns(limits)
        self.served: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._closing = AsyncExitStack()

    async def open(self) -> None:
        await self._closing.enter_async_context(self.turns.turn("192.0.2.1"))

    async def come(self, *addresses: str) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self._visit(address)) for address in addresses]
        self.tasks += tasks
        await settle()
        return tasks

    async def close(self) -> list[str]:
        await self._closing.aclose()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        return self.served

    async def _visit(self, address: str) -> None:
        async with self.turns.turn(address):
            await asyncio.sleep(0)
            self.served.append(address)


async def refused(visit: Coroutine[None, None, list[asyncio.Task[None]]]) -> BusyError:
    (task,) = await visit
    with pytest.raises(BusyError) as caught:
        await task
    return caught.value


async def test_one_turn_at_a_time() -> None:
    office = Office()
    await office.open()
    await office.come(ALICE)
    assert office.served == []
    assert await office.close() == [ALICE]


async def test_addresses_take_turns_however_many_one_of_them_wants() -> None:
    office = Office()
    await office.open()
    await office.come(MALLORY, MALLORY, MALLORY, ALICE, BOB)
    assert await office.close() == [MALLORY, ALICE, BOB, MALLORY, MALLORY]


async def test_who_comes_while_others_are_served_is_next() -> None:
    turns, served = Turns(UNLIMITED), list[str]()

    async def visit(address: str) -> None:
        async with turns.turn(address):
            served.append(address)
            if address == MALLORY:
                later.append(asyncio.create_task(visit(ALICE)))
                await settle()

    later: list[asyncio.Task[None]] = []
    async with turns.turn(BOB):
        flood = [asyncio.create_task(visit(MALLORY)) for _ in range(3)]
        await settle()
    await asyncio.gather(*flood)
    await asyncio.gather(*later)
    assert served == [MALLORY, ALICE] * 3


async def test_an_address_has_few_places() -> None:
    office = Office(TurnLimits(per_second=1e9, burst=1_000_000, lane=2))
    await office.open()
    await office.come(MALLORY, MALLORY)
    error = await refused(office.come(MALLORY))
    assert "2 requests of this address wait already" in str(error)
    assert error.retry_after >= 1
    assert await office.close() == [MALLORY, MALLORY]


async def test_who_wants_most_makes_room_for_others() -> None:
    office = Office(TurnLimits(per_second=1e9, burst=1_000_000, waiting=3))
    await office.open()
    *_, last = await office.come(MALLORY, MALLORY, MALLORY)
    await office.come(ALICE)
    with pytest.raises(BusyError, match="others had waited"):
        await last
    assert await office.close() == [MALLORY, ALICE, MALLORY]


async def test_when_everybody_waits_once_who_comes_last_goes() -> None:
    office = Office(TurnLimits(per_second=1e9, burst=1_000_000, waiting=2))
    await office.open()
    await office.come(ALICE, BOB)
    assert "2 requests wait already" in str(await refused(office.come(MALLORY)))
    assert await office.close() == [ALICE, BOB]


async def test_loopback_comes_first() -> None:
    office = Office()
    await office.open()
    await office.come(MALLORY, ALICE, "127.0.0.1", "::1")
    assert await office.close() == ["127.0.0.1", "::1", MALLORY, ALICE]


async def test_more_addresses_than_places_do_not_keep_loopback_out() -> None:
    office = Office(TurnLimits(per_second=1e9, burst=1_000_000, waiting=3))
    await office.open()
    await office.come("203.0.113.1", "203.0.113.2", "203.0.113.3")
    await office.come("127.0.0.1")
    assert await office.close() == ["127.0.0.1", "203.0.113.2", "203.0.113.3"]


async def test_outsiders_do_not_send_loopback_away() -> None:
    office = Office(TurnLimits(per_second=1e9, burst=1_000_000, waiting=2))
    await office.open()
    await office.come("127.0.0.1", "127.0.0.1")
    await refused(office.come(ALICE))
    assert await office.close() == ["127.0.0.1", "127.0.0.1"]


@pytest.mark.parametrize(
    "others",
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2"),
        ("fe80::1%eth0", "fe80::2%eth1"),
        ("::ffff:203.0.113.66", "203.0.113.66"),
    ],
)
async def test_addresses_of_one_owner_share_a_lane(others: tuple[str, str]) -> None:
    office = Office(TurnLimits(per_second=1e9, burst=1_000_000, lane=1))
    await office.open()
    await office.come(others[0])
    assert "of this address" in str(await refused(office.come(others[1])))
    await office.close()


async def test_nobody_waits_for_ever() -> None:
    office = Office(TurnLimits(per_second=1e9, burst=1_000_000, patience=0.01))
    await office.open()
    assert "no turn within 0.01 s" in str(await refused(office.come(ALICE)))
    assert len(office.turns) == 0
    assert await office.close() == []


async def test_who_goes_away_gives_the_place_back() -> None:
    office = Office()
    await office.open()
    (task,) = await office.come(ALICE)
    task.cancel()
    await settle()
    assert len(office.turns) == 0
    await office.come(BOB)
    assert await office.close() == [BOB]


async def test_a_turn_that_comes_as_somebody_goes_is_not_lost() -> None:
    turns = Turns(UNLIMITED)
    async with turns.turn(MALLORY):
        leaving = asyncio.create_task(turns.turn(ALICE).__aenter__())
        await settle()
    leaving.cancel()  # its turn was given a moment ago, and it has not heard of it
    await asyncio.gather(leaving, return_exceptions=True)
    async with asyncio.timeout(1), turns.turn(BOB):
        pass


async def test_who_goes_in_the_moment_of_the_turn_does_not_stop_the_others() -> None:
    office = Office()
    await office.open()
    leaving, _ = await office.come(ALICE, BOB)
    leaving.cancel()  # and it has had no time yet to leave its lane
    assert await office.close() == [BOB]
    async with asyncio.timeout(1), office.turns.turn(MALLORY):
        pass


async def test_who_was_cancelled_holds_no_place() -> None:
    office = Office(TurnLimits(per_second=1e9, burst=1_000_000, waiting=1))
    await office.open()
    (leaving,) = await office.come(ALICE)
    leaving.cancel()
    await office.come(BOB)
    assert await office.close() == [BOB]


async def test_a_turn_ends_with_an_error_too() -> None:
    turns = Turns(UNLIMITED)
    with pytest.raises(ZeroDivisionError):
        async with turns.turn(ALICE):
            raise ZeroDivisionError
    async with asyncio.timeout(1), turns.turn(BOB):
        pass


async def test_there_are_not_more_turns_than_the_rate() -> None:
    now = [0.0]
    turns = Turns(TurnLimits(per_second=1, burst=2, patience=0.01), clock=lambda: now[0])
    for _ in range(2):
        async with turns.turn(ALICE):
            pass
    with pytest.raises(BusyError):
        await turns.turn(ALICE).__aenter__()
    now[0] = 1.0
    async with turns.turn(ALICE):
        pass


async def test_who_waits_for_the_rate_gets_a_turn() -> None:
    turns = Turns(TurnLimits(per_second=100, burst=1))
    async with asyncio.timeout(5):
        for _ in range(3):
            async with turns.turn(ALICE):
                pass


async def test_a_pause_does_not_save_more_turns_than_the_burst() -> None:
    now = [0.0]
    turns = Turns(TurnLimits(per_second=1, burst=2, patience=0.01), clock=lambda: now[0])
    now[0] = 1e6
    for _ in range(2):
        async with turns.turn(ALICE):
            pass
    with pytest.raises(BusyError):
        await turns.turn(ALICE).__aenter__()


@given(st.lists(st.sampled_from([MALLORY, ALICE, BOB, "127.0.0.1", "::1", "2001:db8::1", "no address"]), max_size=60))
def test_everybody_gets_a_turn_or_hears_why_not(addresses: list[str]) -> None:
    async def scenario() -> None:
        office = Office(TurnLimits(per_second=1e9, burst=1_000_000, waiting=8, lane=3))
        await office.open()
        await office.come(*addresses)
        assert len(office.turns) == min(8, sum(min(3, addresses.count(address)) for address in set(addresses)))
        served = await office.close()
        answers = await asyncio.gather(*office.tasks, return_exceptions=True)
        assert sum(isinstance(answer, BusyError) for answer in answers) + len(served) == len(addresses)
        assert len(office.turns) == 0

    asyncio.run(scenario())


MOMENT, END = "a moment passes", "the turn ends"
STEPS = st.sampled_from([MALLORY, ALICE, "127.0.0.1", MOMENT, END]) | st.integers(0, 20)


@given(st.lists(STEPS, max_size=40))
def test_whoever_leaves_whenever_the_next_one_gets_a_turn(steps: list[str | int]) -> None:
    async def scenario() -> None:
        turns, end = Turns(TurnLimits(per_second=1e9, burst=1_000_000, waiting=5, lane=3)), asyncio.Event()
        tasks: list[asyncio.Task[None]] = []

        async def visit(address: str) -> None:
            async with turns.turn(address):
                await end.wait()
                end.clear()

        for step in steps:
            if isinstance(step, int):
                tasks[step % len(tasks)].cancel() if tasks else None
            elif step == MOMENT:
                await settle()
            elif step == END:
                end.set()
            else:
                tasks.append(asyncio.create_task(visit(step)))
        for task in tasks:
            task.cancel()
        async with asyncio.timeout(5), turns.turn(BOB):
            await asyncio.gather(*tasks, return_exceptions=True)
            assert len(turns) == 0

    asyncio.run(scenario())
