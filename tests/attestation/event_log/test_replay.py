# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Registers that follow from a log, and events that prove their data."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

import pytest

from attestation.errors import MalformedError
from attestation.tpm.algorithms import HashAlgorithm
from attestation.tpm.ccel import parse_ccel_table, replay_rtmrs
from attestation.tpm.event_log import parse_event_log
from attestation.tpm.event_types import EventType
from attestation.tpm.gce_event import GceTechnology, gce_technology
from attestation.tpm.replay import replay, unproved_events

if TYPE_CHECKING:
    from tests.attestation.event_log.conftest import LogWriter

SHA1, SHA256, SHA384 = HashAlgorithm.SHA1, HashAlgorithm.SHA256, HashAlgorithm.SHA384
NO_ACTION, SEPARATOR, ACTION = EventType.EV_NO_ACTION, EventType.EV_SEPARATOR, EventType.EV_EFI_ACTION
NONHOST_INFO = EventType.EV_NONHOST_INFO


def extended(start: bytes, *measured: bytes) -> bytes:
    for data in measured:
        start = hashlib.sha256(start + hashlib.sha256(data).digest()).digest()
    return start


def test_register_is_the_chain_of_its_events(log: LogWriter) -> None:
    for data in (b"one", b"two"):
        log.event(4, ACTION, data)
        log.event(7, ACTION, data + b"!")
    replayed = replay(parse_event_log(log.data), SHA256)
    assert replayed == {4: extended(bytes(32), b"one", b"two"), 7: extended(bytes(32), b"one!", b"two!")}


def test_events_that_inform_extend_nothing(log: LogWriter) -> None:
    log.event(4, NO_ACTION, b"information")
    assert replay(parse_event_log(log.data), SHA256) == {}


@pytest.mark.parametrize("locality", [0, 3, 4])
def test_locality_is_the_start_of_register_0(log: LogWriter, locality: int) -> None:
    log.event(0, NO_ACTION, b"StartupLocality\0" + bytes([locality]))
    log.event(0, ACTION, b"one")
    assert replay(parse_event_log(log.data), SHA256) == {0: extended(bytes(31) + bytes([locality]), b"one")}


def test_locality_after_the_first_event_changes_nothing(log: LogWriter) -> None:
    log.event(0, ACTION, b"one")
    log.event(0, NO_ACTION, b"StartupLocality\0\x03")
    assert replay(parse_event_log(log.data), SHA256) == {0: extended(bytes(32), b"one")}


@pytest.mark.parametrize("locality", [b"", b"\x01", b"\x05", b"\x00\x03"], ids=["none", "one", "five", "two-bytes"])
def test_impossible_locality_is_refused(log: LogWriter, locality: bytes) -> None:
    log.event(0, NO_ACTION, b"StartupLocality\0" + locality)
    with pytest.raises(MalformedError, match="startup locality"):
        replay(parse_event_log(log.data), SHA256)


@pytest.mark.parametrize("register,start", [(16, b"\0"), (17, b"\xff"), (22, b"\xff"), (23, b"\0")])
def test_registers_of_the_dynamic_launch_start_with_ones(log: LogWriter, register: int, start: bytes) -> None:
    log.event(register, ACTION, b"one")
    assert replay(parse_event_log(log.data), SHA256) == {register: extended(start * 32, b"one")}


def test_old_log_has_one_bank(old_log: LogWriter) -> None:
    old_log.event(4, ACTION, b"one")
    log = parse_event_log(old_log.data)
    assert replay(log, SHA1) == {4: hashlib.sha1(bytes(20) + hashlib.sha1(b"one").digest()).digest()}
    with pytest.raises(MalformedError, match="no sha256 digests"):
        replay(log, SHA256)


def test_event_without_digest_for_the_bank_is_refused(log: LogWriter) -> None:
    event = struct.pack("<IIIH", 4, ACTION, 1, 0x04) + bytes(20) + struct.pack("<I", 1) + b"x"
    with pytest.raises(MalformedError, match="register 4 has no sha256 digest"):
        replay(parse_event_log(log.data + event), SHA256)


def test_data_that_was_not_measured_is_shown(log: LogWriter) -> None:
    log.event(7, SEPARATOR, bytes(4))
    log.event(7, ACTION, b"what the log says", measured=b"what was measured")
    log.event(4, EventType.EV_EFI_BOOT_SERVICES_APPLICATION, b"path", measured=b"the file")
    log.event(4, 0x1234, b"unknown", measured=b"something")
    assert unproved_events(parse_event_log(log.data), SHA256) == (2,)


def gce_event(technology: int) -> bytes:
    return b"GCE NonHostInfo\0" + bytes([technology]) + bytes(15)


@pytest.mark.parametrize("technology", GceTechnology)
def test_compute_engine_names_its_technology(log: LogWriter, technology: GceTechnology) -> None:
    log.event(0, NONHOST_INFO, gce_event(technology.value))
    assert gce_technology(parse_event_log(log.data), SHA256) is technology


def test_technology_that_was_not_measured_is_ignored(log: LogWriter) -> None:
    log.event(0, NONHOST_INFO, gce_event(4), measured=gce_event(0))
    assert gce_technology(parse_event_log(log.data), SHA256) is None


@pytest.mark.parametrize(
    "register,kind,data",
    [
        pytest.param(1, NONHOST_INFO, gce_event(4), id="other-register"),
        pytest.param(0, SEPARATOR, gce_event(4), id="other-type"),
        pytest.param(0, NO_ACTION, gce_event(4), id="not-measured-at-all"),
        pytest.param(0, NONHOST_INFO, gce_event(4)[:-1], id="short"),
        pytest.param(0, NONHOST_INFO, b"X" + gce_event(4)[1:], id="other-signature"),
    ],
)
def test_other_events_name_no_technology(log: LogWriter, register: int, kind: int, data: bytes) -> None:
    log.event(register, kind, data)
    assert gce_technology(parse_event_log(log.data), SHA256) is None


def test_two_technologies_are_refused(log: LogWriter) -> None:
    log.event(0, NONHOST_INFO, gce_event(0))
    log.event(0, NONHOST_INFO, gce_event(4))
    with pytest.raises(MalformedError, match="2 events"):
        gce_technology(parse_event_log(log.data), SHA256)


def test_unknown_technology_is_refused(log: LogWriter) -> None:
    log.event(0, NONHOST_INFO, gce_event(9))
    with pytest.raises(MalformedError, match="technology 9"):
        gce_technology(parse_event_log(log.data), SHA256)


def test_register_n_plus_1_of_a_confidential_guest_is_rtmr_n(log: LogWriter) -> None:
    log.event(0, ACTION, b"the build of the guest, MRTD, is no runtime register")
    log.event(1, ACTION, b"one")
    log.event(4, ACTION, b"four")
    first = hashlib.sha384(bytes(48) + hashlib.sha384(b"one").digest()).digest()
    last = hashlib.sha384(bytes(48) + hashlib.sha384(b"four").digest()).digest()
    assert replay_rtmrs(parse_event_log(log.data)) == {0: first, 1: bytes(48), 2: bytes(48), 3: last}


def ccel_table(**changes: bytes) -> bytes:
    parts = {"signature": b"CCEL", "length": struct.pack("<I", 56), "revision": b"\x01"}
    parts |= {
        "checksum": b"\0",
        "names": bytes(26),
        "type": b"\x02\x00\x00\x00",
        "area": struct.pack("<QQ", 65536, 4096),
    }
    table = b"".join((parts | changes).values())
    return table[:9] + bytes([-sum(table) & 0xFF]) + table[10:]


def test_acpi_table_is_read() -> None:
    table = parse_ccel_table(ccel_table())
    assert (table.cc_type, table.cc_subtype, table.log_size, table.log_address) == (2, 0, 65536, 4096)


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(ccel_table(signature=b"TPM2"), id="another-table"),
        pytest.param(ccel_table(length=struct.pack("<I", 55)), id="wrong-length"),
        pytest.param(ccel_table()[:-1], id="truncated"),
        pytest.param(ccel_table() + b"\0", id="trailing-byte"),
        pytest.param(ccel_table()[:-1] + b"\x01", id="wrong-checksum"),
        pytest.param(b"", id="empty"),
    ],
)
def test_acpi_table_that_is_none_is_refused(table: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_ccel_table(table)
