# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Who listens on a segment hears what others say, and what is forbidden there."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from constellation_core.conditions import Condition, wait_for
from constellation_engine.machines import Segment
from constellation_engine.testing.programs import free_port
from tests.mini.segment import Tap, in_clear, udp_frame

if TYPE_CHECKING:
    from collections.abc import Sequence


def heard(tap: Tap) -> Sequence[bytes]:
    wait_for([Condition("a frame", lambda: None if tap.frames() else "not yet")], timeout=10)
    return tap.frames()


def test_everybody_is_heard_but_oneself() -> None:
    segment = Segment(group=IPv4Address("239.192.77.1"), port=free_port())
    with Tap(segment) as one, Tap(segment) as other:
        one.send(b"from one")
        other.send(b"from other")
        assert heard(one) == (b"from other",)
        assert heard(other) == (b"from one",)


def test_a_datagram_in_clear_is_found() -> None:
    frame = udp_frame("10.244.0.2", "10.244.1.4", 7777, b"words", hardware="52:54:00:00:00:01")
    assert list(in_clear([frame])) == ["IPv4 from 10.244.0.2 to 10.244.1.4, protocol 17:7777"]
