# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The kernel's report interface: the order of reads and writes, and every way in which it can fail."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from attestation.errors import DeviceError
from attestation.testing.tsm import FakeTsmFiles
from attestation.tsm import MAX_OUTBLOB, ConfigfsFiles, TsmProvider, TsmReports

if TYPE_CHECKING:
    from pathlib import Path

INBLOB = bytes(range(64))


@pytest.fixture
def files() -> FakeTsmFiles:
    return FakeTsmFiles(TsmProvider.SNP, lambda inblob: b"signed " + inblob)


def test_the_report_signs_what_was_asked(files: FakeTsmFiles) -> None:
    report = TsmReports(files).request(INBLOB, TsmProvider.SNP)
    assert report.outblob == b"signed " + INBLOB
    assert report.auxblob == b""


def test_what_the_host_adds_is_handed_over(files: FakeTsmFiles) -> None:
    files.auxblob = b"certificates"
    assert TsmReports(files).request(INBLOB, TsmProvider.SNP).auxblob == b"certificates"


def test_the_privilege_level_is_written(files: FakeTsmFiles) -> None:
    seen: list[dict[str, bytes]] = []

    def answer(_inblob: bytes) -> bytes:
        seen.extend(dict(entry) for entry in files.entries.values())
        return b"report"

    files.answer = answer
    TsmReports(files).request(INBLOB, TsmProvider.SNP, privilege_level=2)
    assert seen == [{"inblob": INBLOB, "privlevel": b"2"}]


def test_the_entry_is_removed(files: FakeTsmFiles) -> None:
    TsmReports(files).request(INBLOB, TsmProvider.SNP)
    assert not files.entries


def test_the_entry_is_removed_after_a_failure(files: FakeTsmFiles) -> None:
    files.errors["outblob"] = TimeoutError(errno.ETIMEDOUT, "timed out")
    with pytest.raises(DeviceError, match=r"read outblob failed \(timed out\)"):
        TsmReports(files).request(INBLOB, TsmProvider.SNP)
    assert not files.entries


def test_a_failing_clean_up_hides_nothing(files: FakeTsmFiles) -> None:
    files.errors["remove"] = PermissionError(errno.EPERM, "no")
    assert TsmReports(files).request(INBLOB, TsmProvider.SNP).outblob


def test_entries_have_names_of_their_own(files: FakeTsmFiles) -> None:
    files.errors["remove"] = PermissionError(errno.EPERM, "no")
    for _ in range(5):
        TsmReports(files).request(INBLOB, TsmProvider.SNP)
    assert len(files.entries) == 5


def test_another_driver_is_refused(files: FakeTsmFiles) -> None:
    with pytest.raises(DeviceError, match="sev_guest, expected tdx_guest"):
        TsmReports(files).request(INBLOB, TsmProvider.TDX)


def test_a_lost_write_is_noticed(files: FakeTsmFiles) -> None:
    files.lost_writes = 1
    with pytest.raises(DeviceError, match="generation 0, expected 1"):
        TsmReports(files).request(INBLOB, TsmProvider.SNP)


def test_a_write_of_somebody_else_is_noticed(files: FakeTsmFiles) -> None:
    def intrude(_inblob: bytes) -> bytes:
        files.write(next(iter(files.entries)), "inblob", bytes(64))
        return b"report about something else"

    files.answer = intrude
    with pytest.raises(DeviceError, match="generation 2, expected 1"):
        TsmReports(files).request(INBLOB, TsmProvider.SNP)


@pytest.mark.parametrize("size", [1, MAX_OUTBLOB])
def test_sizes_of_a_report(files: FakeTsmFiles, size: int) -> None:
    files.answer = lambda _inblob: bytes(size)
    assert len(TsmReports(files).request(INBLOB, TsmProvider.SNP).outblob) == size


@pytest.mark.parametrize("outblob", [b"", bytes(MAX_OUTBLOB + 1)], ids=["empty", "huge"])
def test_a_report_of_impossible_size(files: FakeTsmFiles, outblob: bytes) -> None:
    files.answer = lambda _inblob: outblob
    with pytest.raises(DeviceError, match="report of"):
        TsmReports(files).request(INBLOB, TsmProvider.SNP)


@pytest.mark.parametrize(
    "error, message, hint",
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), "offers no attestation reports", "Linux 6.7"),
        (PermissionError(errno.EACCES, "Permission denied"), "no permission", "root"),
        (OSError(errno.ENXIO, "No such device"), "no driver", "tdx_guest"),
    ],
)
def test_no_interface(files: FakeTsmFiles, error: OSError, message: str, hint: str) -> None:
    files.errors["make"] = error
    with pytest.raises(DeviceError, match=message) as caught:
        TsmReports(files).request(INBLOB, TsmProvider.SNP)
    assert hint in caught.value.hint


@pytest.mark.parametrize("attribute", ["provider", "generation", "inblob", "outblob", "auxblob"])
def test_every_file_may_fail(files: FakeTsmFiles, attribute: str) -> None:
    files.errors[attribute] = OSError(errno.EIO, "Input/output error")
    with pytest.raises(DeviceError, match=f"{attribute} failed"):
        TsmReports(files).request(INBLOB, TsmProvider.SNP)


@pytest.mark.parametrize("inblob", [b"", bytes(63), bytes(65)])
def test_wrong_size_of_what_is_signed(files: FakeTsmFiles, inblob: bytes) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        TsmReports(files).request(inblob, TsmProvider.SNP)


def test_wrong_privilege_level(files: FakeTsmFiles) -> None:
    with pytest.raises(ValueError, match="privilege level 4"):
        TsmReports(files).request(INBLOB, TsmProvider.SNP, privilege_level=4)


def test_the_real_files(tmp_path: Path) -> None:
    files = ConfigfsFiles(tmp_path)
    files.make("entry")
    (tmp_path / "entry" / "inblob").touch()
    files.write("entry", "inblob", INBLOB)
    assert files.read("entry", "inblob") == INBLOB
    (tmp_path / "entry" / "inblob").unlink()
    files.remove("entry")
    assert not list(tmp_path.iterdir())


def test_a_machine_without_the_interface(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="offers no attestation reports"):
        TsmReports(ConfigfsFiles(tmp_path / "none")).request(INBLOB, TsmProvider.TDX)


def test_a_generation_that_is_no_number(files: FakeTsmFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeTsmFiles, "read", lambda _self, _entry, name: b"sev_guest" if name == "provider" else b"?")
    with pytest.raises(DeviceError, match="as generation"):
        TsmReports(files).request(INBLOB, TsmProvider.SNP)
