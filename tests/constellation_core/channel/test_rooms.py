# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Who may come in, who waits, and who must leave: rules that hold whatever guests do, on a clock that tests turn."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from constellation_core.channel.rooms import Guest, Room

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
GREEDY = 4


class TurnedClock(asyncio.SelectorEventLoop):
    """An event loop whose time stands still unless a test turns it on."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Let everything happen that can happen now."""
        for _ in range(4):
            self.run_until_complete(asyncio.sleep(0))

    def turn_on(self, seconds: float) -> None:
        self.now += seconds
        self.settle()


class Rooms(RuleBasedStateMachine):
    """A room, and guests that come, speak, fall silent and go in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = TurnedClock()
        self.inside: list[Guest] = []
        self.waiting: list[Guest] = []
        self.tasks: dict[Guest, asyncio.Task[None]] = {}
        self.done: dict[Guest, asyncio.Event] = {}
        self.dismissed: list[Guest] = []

    @initialize(limit=st.integers(1, 4), queued=st.integers(0, 4), patience=st.sampled_from([0.0, 1.0, 8.0]))
    def open(self, limit: int, queued: int, patience: float) -> None:
        self.limit, self.queued, self.patience = limit, queued, patience
        self.room = Room(limit, queued=queued, patience=patience)

    async def _stay(self, guest: Guest, silent: bool) -> None:
        self.waiting.append(guest)
        try:
            async with self.room.place(guest):
                self.waiting.remove(guest)
                self.inside.append(guest)
                guest.silent_since = self.loop.now if silent else math.inf
                await self.done[guest].wait()
        finally:
            for crowd in (self.waiting, self.inside):
                if guest in crowd:
                    crowd.remove(guest)

    @rule(address=st.sampled_from(ADDRESSES), silent=st.booleans())
    def come(self, address: str, silent: bool) -> None:
        guest = Guest(address, silent_since=0.0)
        self.done[guest] = asyncio.Event()
        self.tasks[guest] = task = self.loop.create_task(self._stay(guest, silent))

        def dismiss() -> None:
            self.dismissed.append(guest)
            self._may_leave(guest)
            task.cancel()

        guest.dismiss = dismiss
        self.loop.settle()

    def _may_leave(self, guest: Guest) -> None:
        """Who must leave was silent for too long, or stood last where too many waited."""
        if guest in self.inside:
            assert self.loop.now - guest.silent_since >= self.patience / GREEDY
            return
        waits = [other.address for other in self.waiting]
        assert len(waits) > self.queued
        assert waits.count(guest.address) == max(map(waits.count, waits))
        assert guest is [other for other in self.waiting if other.address == guest.address][-1]

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        self.done[data.draw(st.sampled_from(self.inside))].set()
        self.loop.settle()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        self.tasks[data.draw(st.sampled_from(self.waiting))].cancel()
        self.loop.settle()

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), silent=st.booleans())
    def speak_or_fall_silent(self, data: st.DataObject, silent: bool) -> None:
        data.draw(st.sampled_from(self.inside)).silent_since = self.loop.now if silent else math.inf

    @rule(seconds=st.sampled_from([0.1, 0.3, 1.0, 5.0]))
    def wait(self, seconds: float) -> None:
        self.loop.turn_on(seconds)

    @invariant()
    def no_more_than_allowed(self) -> None:
        if hasattr(self, "room"):
            assert len(self.room) == len(self.inside) <= self.limit
            assert self.room.waiting == len(self.waiting) <= self.queued

    @invariant()
    def nobody_waits_without_need(self) -> None:
        if not self.waiting:
            return
        assert len(self.inside) == self.limit
        assert all(self.loop.now - guest.silent_since < max(self.patience, 1e-6) for guest in self.inside)
        assert self.room._alarm is not None
        assert self.room._alarm.when() <= self.loop.now + self.patience

    def teardown(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        self.loop.settle()
        if hasattr(self, "room"):
            assert len(self.room) == self.room.waiting == 0
            assert not self.room._guests.lanes
            assert not self.room._line.lanes
        self.loop.close()


@pytest.mark.parametrize(
    "examples", [60, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])], ids=str
)
def test_rules_hold_whatever_guests_do(examples: int) -> None:
    run_state_machine_as_test(Rooms, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None))


@pytest.fixture
def clock() -> Iterator[TurnedClock]:
    loop = TurnedClock()
    yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.settle()
    loop.close()


class Crowd:
    """Guests on a turned clock."""

    def __init__(self, clock: TurnedClock, room: Room) -> None:
        self.clock = clock
        self.room = room
        self.inside: list[str] = []
        self.gone: list[str] = []

    def come(self, name: str, address: str) -> asyncio.Task[None]:
        guest = Guest(address, silent_since=self.clock.now)
        task = self.clock.create_task(self._stay(name, guest))
        guest.dismiss = task.cancel
        self.clock.settle()
        return task

    async def _stay(self, name: str, guest: Guest) -> None:
        try:
            async with self.room.place(guest):
                guest.silent_since = self.clock.now
                self.inside.append(name)
                await asyncio.Event().wait()
        finally:
            self.gone.append(name)


def test_in_the_order_in_which_they_came(clock: TurnedClock) -> None:
    crowd = Crowd(clock, Room(1, queued=9, patience=100.0))
    tasks = [crowd.come(name, "10.0.0.1") for name in "abcd"]
    for task in tasks:
        task.cancel()
        clock.settle()
    assert crowd.inside == list("abcd")


def test_addresses_take_turns(clock: TurnedClock) -> None:
    crowd = Crowd(clock, Room(1, queued=9, patience=100.0))
    tasks = {name: crowd.come(name, f"10.0.0.{name[0]}") for name in ("1a", "1b", "1c", "1d", "2a", "2b", "3a")}
    while len(crowd.inside) < 7:
        tasks[crowd.inside[-1]].cancel()
        clock.settle()
    assert crowd.inside == ["1a", "1b", "2a", "3a", "1c", "2b", "1d"]


def test_who_is_silent_leaves_when_patience_ends_and_not_before(clock: TurnedClock) -> None:
    crowd = Crowd(clock, Room(1, queued=9, patience=2.0))
    crowd.come("a", "10.0.0.1")
    crowd.come("b", "10.0.0.2")
    clock.turn_on(1.9)
    assert crowd.gone == []
    clock.turn_on(0.1)
    assert crowd.gone == ["a"]
    assert crowd.inside == ["a", "b"]


def test_who_came_alone_may_stay(clock: TurnedClock) -> None:
    crowd = Crowd(clock, Room(1, queued=9, patience=2.0))
    crowd.come("a", "10.0.0.1")
    clock.turn_on(1000)
    assert crowd.gone == []


def test_greedy_addresses_spend_their_patience_faster(clock: TurnedClock) -> None:
    crowd = Crowd(clock, Room(3, queued=9, patience=8.0))
    for name in "abc":
        crowd.come(name, "10.0.0.1")
        clock.turn_on(0.1)
    crowd.come("node", "10.0.0.2")
    clock.turn_on(1.6)
    assert crowd.gone == []
    clock.turn_on(0.1)
    assert crowd.gone == ["a"]
    assert crowd.inside[-1] == "node"


def test_equal_addresses_have_equal_patience(clock: TurnedClock) -> None:
    crowd = Crowd(clock, Room(2, queued=9, patience=8.0))
    crowd.come("a", "10.0.0.1")
    crowd.come("b", "10.0.0.2")
    crowd.come("c", "10.0.0.3")
    clock.turn_on(7.9)
    assert crowd.gone == []
    clock.turn_on(0.1)
    assert crowd.gone == ["a"]


def test_a_full_line_sends_the_last_of_the_busiest_address_away(clock: TurnedClock) -> None:
    crowd = Crowd(clock, Room(1, queued=3, patience=100.0))
    for name, address in (("in", "9"), ("1a", "1"), ("1b", "1"), ("2a", "2"), ("3a", "3")):
        crowd.come(name, address)
    assert crowd.gone == ["1b"]
    crowd.come("2b", "2")
    assert crowd.gone == ["1b", "2b"]


def test_dismiss_all(clock: TurnedClock) -> None:
    crowd = Crowd(clock, Room(3))
    for name in "abc":
        crowd.come(name, "10.0.0.1")
    clock.run_until_complete(_dismiss(crowd.room))
    clock.settle()
    assert sorted(crowd.gone) == list("abc")
    assert len(crowd.room) == 0


async def _dismiss(room: Room) -> None:
    room.dismiss_all()


def test_addresses_of_one_owner_are_one(clock: TurnedClock) -> None:
    """Whoever has one IPv6 address has 2^64 of them."""
    crowd = Crowd(clock, Room(1, queued=3, patience=100.0))
    for name, address in (("in", "9.9.9.9"), ("a", "2001:db8::1"), ("b", "2001:db8::2"), ("c", "2001:db8::3")):
        crowd.come(name, address)
    crowd.come("node", "2001:db8:1::1")
    assert crowd.gone == ["c"]


def test_thinning_out(clock: TurnedClock) -> None:
    """Who waits goes first; who is in the middle of something and not silent for too long may stay."""
    crowd = Crowd(clock, Room(2, queued=9, patience=100.0))
    for name in "abc":
        crowd.come(name, "10.0.0.1")
    assert [clock.run_until_complete(_thin_out(crowd.room)) for _ in range(2)] == [True, False]
    clock.settle()
    assert crowd.gone == ["c"]
    clock.turn_on(100.0)
    assert clock.run_until_complete(_thin_out(crowd.room))
    clock.settle()
    assert crowd.gone == ["c", "a"]


async def _thin_out(room: Room) -> bool:
    return room.thin_out()
