# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The parser of boot logs: what it reads, what it refuses, and that garbage costs nothing."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attestation.errors import MalformedError
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.event_log import MAX_EVENTS, LogFormat, parse_event_log
from attestation.tpm.event_types import EventType
from attestation.tpm.replay import replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.attestation.event_log.conftest import LogWriter

SEPARATOR, ACTION = EventType.EV_SEPARATOR, EventType.EV_EFI_ACTION


def test_events_are_read_in_order(log: LogWriter) -> None:
    log.event(7, SEPARATOR, bytes(4))
    log.event(4, ACTION, b"Calling EFI Application from Boot Option")
    parsed = parse_event_log(log.data)
    assert parsed.format is LogFormat.CRYPTO_AGILE
    assert dict(parsed.algorithms) == {0x04: 20, 0x0B: 32, 0x0C: 48}
    assert [(event.register, event.type) for event in parsed.events[1:]] == [(7, SEPARATOR), (4, ACTION)]
    assert parsed.events[2].type_name == "EV_EFI_ACTION"
    assert all(event.proves_data(HashAlgorithm.SHA256) for event in parsed.events[1:])


def test_unknown_types_are_kept(log: LogWriter) -> None:
    log.event(5, 0x1234, b"vendor")
    event = parse_event_log(log.data).events[-1]
    assert event.type == 0x1234
    assert event.type_name == "0x00001234"


@pytest.mark.parametrize("fill", [b"\0", b"\xff"], ids=["zeros", "ones"])
def test_filling_behind_the_log_is_no_event(log: LogWriter, fill: bytes) -> None:
    log.event(1, SEPARATOR, bytes(4))  # an event that itself ends in zeros
    assert parse_event_log(log.data + fill * 4096) == parse_event_log(log.data)


def test_garbage_behind_the_log_is_refused(log: LogWriter) -> None:
    log.event(1, SEPARATOR, bytes(4))
    with pytest.raises(MalformedError):
        parse_event_log(log.data + b"\xff" * 64 + b"\x01" * 64)


@pytest.mark.parametrize("data", [b"", bytes(64), b"\xff" * 64], ids=["no-bytes", "zeros", "ones"])
def test_log_of_nothing_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError, match="empty"):
        parse_event_log(data)


def test_every_truncation_that_cuts_an_event_is_refused(log: LogWriter) -> None:
    ends = {len(log.data)}
    for number in range(1, 4):
        log.event(number, ACTION, b"action")
        ends.add(len(log.data))
    for size in range(1, len(log.data)):
        if size not in ends:
            with pytest.raises(MalformedError):
                parse_event_log(log.data[:size])


@pytest.mark.parametrize(
    "old,new",
    [
        pytest.param(b"\x03\x00\x00\x00\x04\x00\x14\x00", b"\x00\x00\x00\x00\x04\x00\x14\x00", id="no-algorithms"),
        pytest.param(b"\x03\x00\x00\x00\x04\x00\x14\x00", b"\xff\xff\x00\x00\x04\x00\x14\x00", id="65535-algorithms"),
        pytest.param(b"\x0b\x00\x20\x00", b"\x0b\x00\x14\x00", id="short-sha256"),
        pytest.param(b"\x0b\x00\x20\x00", b"\x04\x00\x14\x00", id="sha1-twice"),
        pytest.param(b"\x0b\x00\x20\x00", b"\x99\x00\x00\x00", id="digest-of-no-bytes"),
        pytest.param(b"\x0b\x00\x20\x00", b"\x99\x00\xff\x00", id="digest-of-255-bytes"),
    ],
)
def test_announcement_that_lies_is_refused(log: LogWriter, old: bytes, new: bytes) -> None:
    assert old in log.data
    with pytest.raises(MalformedError):
        parse_event_log(log.data.replace(old, new, 1))


def test_hash_that_we_do_not_compute_is_carried_along(log: LogWriter) -> None:
    log.event(1, ACTION, b"action")
    parsed = parse_event_log(log.data.replace(b"\x0c\x00", b"\x12\x00"))
    assert 0x12 in parsed.algorithms
    assert replay(parsed, HashAlgorithm.SHA256)
    with pytest.raises(MalformedError, match="no sha384 digests"):
        replay(parsed, HashAlgorithm.SHA384)


@pytest.mark.parametrize(
    "digests",
    [b"\x0b\x00" + bytes(32) + b"\x0b\x00" + bytes(32), b"\x0d\x00" + bytes(64) + b"\x0b\x00" + bytes(32)],
    ids=["twice", "not-announced"],
)
def test_digests_that_were_not_announced_are_refused(log: LogWriter, digests: bytes) -> None:
    event = b"\x01\0\0\0\x05\0\0\0\x02\0\0\0" + digests + b"\x01\0\0\0x"
    with pytest.raises(MalformedError, match="not announced"):
        parse_event_log(log.data + event)


def test_too_many_digests_are_refused(log: LogWriter) -> None:
    with pytest.raises(MalformedError, match="digests"):
        parse_event_log(log.data + b"\x01\0\0\0\x05\0\0\0\xff\xff\xff\xff" + bytes(100) + b"\x01")


def test_too_many_events_are_refused(log: LogWriter) -> None:
    flood = b"\x01\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0" * (MAX_EVENTS + 1)
    with pytest.raises(MalformedError, match="more than"):
        parse_event_log(log.data + flood + b"\x01")


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(MalformedError, match="at most"):
        parse_event_log(b"\x01" * (2**20 + 1))


@pytest.mark.parametrize(
    "data",
    [os.urandom(2**20), b"\x01" * 2**20, b"\0" * 2**20, b"\xff" * 2**20],
    ids=["random", "ones", "zeros", "filling"],
)
def test_a_mebibyte_of_garbage_costs_nothing(data: bytes, least_time: Callable[[Callable[[], object]], float]) -> None:
    def refuse() -> None:
        with pytest.raises(MalformedError):
            parse_event_log(data)

    assert least_time(refuse) < 0.01


def test_a_mebibyte_of_tiny_events_costs_little(least_time: Callable[[Callable[[], object]], float]) -> None:
    tiny = b"\x01" + bytes(31)  # an event without data, 32 bytes

    def refuse() -> None:
        with pytest.raises(MalformedError, match="more than"):
            parse_event_log(tiny * (2**20 // len(tiny) - 1) + b"\x01" * 32)

    assert least_time(refuse) < 0.25


@given(data=st.binary(max_size=400))
def test_garbage(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        parse_event_log(data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_logs_parse_and_replay_or_are_refused(log: LogWriter, data: st.DataObject) -> None:
    original = log.data
    log.event(0, 3, b"StartupLocality\0\x03")
    log.event(0, SEPARATOR, bytes(4))
    log.event(17, ACTION, b"action")
    changed, log.data = bytearray(log.data), original
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    del changed[data.draw(st.integers(1, len(changed))) :]
    with contextlib.suppress(MalformedError):
        parsed = parse_event_log(bytes(changed))
        for algorithm in HashAlgorithm:
            replay(parsed, algorithm)
