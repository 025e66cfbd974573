# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Evidence of a TD: a quote bound to what was asked, with the boot log where the firmware left one."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from attestation.errors import DeviceError
from attestation.tdx.issuer import MAX_CCEL_SIZE, TdxIssuer, read_event_log, request_quote
from attestation.tdx.quote import parse_quote
from attestation.testing.tsm import FakeTsmFiles
from attestation.tsm import TsmProvider, TsmReports
from attestation.variant import Technology, Variant

if TYPE_CHECKING:
    from pathlib import Path

    from attestation.testing.tdx import FakeTdxPlatform

BINDING = bytes(range(32))


@pytest.fixture
def files(platform: FakeTdxPlatform) -> FakeTsmFiles:
    return FakeTsmFiles(TsmProvider.TDX, platform.quote)


@pytest.mark.parametrize("variant", [Variant.QEMU_TDX, Variant.GCP_TDX])
def test_a_quote_is_bound_to_what_was_asked(files: FakeTsmFiles, tmp_path: Path, variant: Variant) -> None:
    evidence = TdxIssuer(variant, TsmReports(files), event_log=tmp_path / "none").issue(BINDING)
    assert evidence.variant is variant
    assert evidence.platform == {}
    assert evidence.tdx is not None
    assert parse_quote(evidence.tdx.quote).report.report_data == BINDING + bytes(32)


def test_the_boot_log_comes_along(files: FakeTsmFiles, tmp_path: Path) -> None:
    log = tmp_path / "CCEL"
    log.write_bytes(b"log")
    evidence = TdxIssuer(Variant.QEMU_TDX, TsmReports(files), event_log=log).issue(BINDING)
    assert evidence.platform == {"ccel": b"log"}


def test_an_empty_log_is_none(tmp_path: Path) -> None:
    (tmp_path / "CCEL").touch()
    assert read_event_log(tmp_path / "CCEL") == {}


def test_a_log_that_does_not_fit(tmp_path: Path) -> None:
    (tmp_path / "CCEL").write_bytes(bytes(MAX_CCEL_SIZE + 1))
    with pytest.raises(DeviceError, match="fit into evidence"):
        read_event_log(tmp_path / "CCEL")


def test_a_log_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot be read") as caught:
        read_event_log(tmp_path)
    assert "root" in caught.value.hint


@pytest.mark.parametrize(
    "variant", [variant for variant in Variant if variant.technologies != {Technology.TDX}], ids=str
)
def test_other_variants_need_more(variant: Variant) -> None:
    with pytest.raises(ValueError, match="not a TD quote alone"):
        TdxIssuer(variant)


def test_no_quoting_service(files: FakeTsmFiles) -> None:
    files.errors["outblob"] = TimeoutError(errno.ETIMEDOUT, "Connection timed out")
    with pytest.raises(DeviceError, match="timed out") as caught:
        request_quote(bytes(64), TsmReports(files))
    assert "quoting" in caught.value.hint


def test_an_amd_machine(files: FakeTsmFiles) -> None:
    files.provider = "sev_guest"
    with pytest.raises(DeviceError, match="sev_guest, expected tdx_guest"):
        request_quote(bytes(64), TsmReports(files))
