# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Reports by /dev/sev-guest, against a driver that reads its requests from memory as the kernel does."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from attestation.errors import DeviceError
from attestation.snp import device
from attestation.snp.certificate_table import parse_certificate_table
from attestation.snp.device import SNP_GET_EXT_REPORT, SNP_GET_REPORT, ConfigfsDevice, SevGuestDevice, find_device
from attestation.snp.report import parse_report
from attestation.testing import sev_guest
from attestation.testing.sev_guest import FakeSevGuest
from attestation.testing.snp import FakeAmd

DATA = bytes(range(64))


@pytest.fixture
def driver() -> FakeSevGuest:
    return FakeSevGuest(FakeAmd().machine())


@pytest.fixture
def node(tmp_path: Path, driver: FakeSevGuest) -> SevGuestDevice:
    path = tmp_path / "sev-guest"
    path.touch()
    return SevGuestDevice(path, driver.ioctl)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_layouts_are_those_of_the_header() -> None:
    for layout, structure in (
        (device._IOCTL, sev_guest._Ioctl),
        (device._REQUEST, sev_guest._Request),
        (device._EXTENDED_REQUEST, sev_guest._ExtendedRequest),
    ):
        assert layout.size == ctypes.sizeof(structure)
    assert ctypes.sizeof(sev_guest._Response) == device.RESPONSE_SIZE
    assert device._IOCTL.size == 32


def test_numbers_are_those_of_the_header() -> None:
    read_and_write = 3 << 30 | device._IOCTL.size << 16 | ord("S") << 8
    assert (read_and_write, read_and_write | 2) == (SNP_GET_REPORT, SNP_GET_EXT_REPORT)


def test_a_report_carries_what_was_asked(node: SevGuestDevice) -> None:
    report = parse_report(node.request_report(DATA).report)
    assert report.report_data == DATA
    assert report.vmpl == 0


def test_the_certificates_of_the_host_come_along(node: SevGuestDevice, driver: FakeSevGuest) -> None:
    entries = parse_certificate_table(node.request_report(DATA).certificate_table)
    assert [entry.kind.name for entry in entries if entry.kind] == ["VCEK", "ASK", "ARK"]
    assert driver.requests == [SNP_GET_EXT_REPORT]


def test_a_host_without_certificates(node: SevGuestDevice, driver: FakeSevGuest) -> None:
    driver.table = b""
    assert parse_certificate_table(node.request_report(DATA).certificate_table) == ()


def test_a_table_too_large_is_gone_without(node: SevGuestDevice, driver: FakeSevGuest) -> None:
    driver.table = bytes(16385)
    answer = node.request_report(DATA)
    assert parse_report(answer.report).report_data == DATA
    assert answer.certificate_table == b""
    assert driver.requests == [SNP_GET_EXT_REPORT, SNP_GET_REPORT]


@pytest.mark.parametrize("vmpl", range(4))
def test_a_privilege_level_can_be_asked_for(node: SevGuestDevice, vmpl: int) -> None:
    assert parse_report(node.request_report(DATA, vmpl=vmpl).report).vmpl == vmpl


def test_a_more_privileged_level_is_refused(node: SevGuestDevice, driver: FakeSevGuest) -> None:
    driver.lowest_vmpl = 2
    with pytest.raises(DeviceError) as refused:
        node.request_report(DATA, vmpl=1)
    assert "VMPL" in refused.value.hint


@pytest.mark.parametrize("status, size", [(0x27, 1184), (0, 1183), (0, 0), (0, 0xFFFFFFFF)])
def test_a_response_that_is_no_report_is_refused(
    node: SevGuestDevice, driver: FakeSevGuest, status: int, size: int
) -> None:
    driver.status, driver.report_size = status, size
    with pytest.raises(DeviceError, match="secure processor"):
        node.request_report(DATA)


def test_a_host_that_throttles_is_named(node: SevGuestDevice, driver: FakeSevGuest) -> None:
    driver.host_error = 2
    with pytest.raises(DeviceError, match="throttles"):
        node.request_report(DATA)


def test_errors_are_shown_with_their_numbers(node: SevGuestDevice, driver: FakeSevGuest) -> None:
    driver.firmware_error = 0x27
    with pytest.raises(DeviceError, match="firmware error 0x27, host error 0x0"):
        node.request_report(DATA)


def test_a_missing_device_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no device at") as refused:
        SevGuestDevice(tmp_path / "sev-guest").request_report(DATA)
    assert "module" in refused.value.hint


def test_a_forbidden_device_is_named(node: SevGuestDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DeviceError, match="no permission") as refused:
        node.request_report(DATA)
    assert refused.value.hint == "run as root"


def test_a_device_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(DeviceError, match="gave no report"):
        SevGuestDevice(path).request_report(DATA)


def test_the_file_is_closed_whatever_happens(node: SevGuestDevice, driver: FakeSevGuest) -> None:
    before = open_files()
    driver.firmware_error = 1
    for _ in range(3):
        with pytest.raises(DeviceError):
            node.request_report(DATA)
    assert open_files() == before


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_report_data_of_another_size_is_a_mistake_of_the_caller(node: SevGuestDevice, size: int) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        node.request_report(bytes(size))


@pytest.mark.parametrize("interface, kind", [("DIRECTORY", ConfigfsDevice), ("DEVICE", SevGuestDevice)])
def test_what_the_machine_offers_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, interface: str, kind: type[object]
) -> None:
    monkeypatch.setattr(device, "DIRECTORY", tmp_path / "no directory")
    monkeypatch.setattr(device, "DEVICE", tmp_path / "no device")
    monkeypatch.setattr(device, interface, tmp_path)
    assert isinstance(find_device(), kind)


def test_a_machine_that_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "DIRECTORY", Path("/nowhere/tsm"))
    monkeypatch.setattr(device, "DEVICE", Path("/nowhere/sev-guest"))
    with pytest.raises(DeviceError) as refused:
        find_device()
    assert "/nowhere/tsm" in refused.value.hint
    assert "/nowhere/sev-guest" in refused.value.hint
