# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Answers on disk: whole or not at all, readable by all, and never outside their directory."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attestation.snp.kds import MAX_SIZE, Kds, Kept
from attestation.snp.kds_cache import DiskCache
from attestation.testing.kds import FakeKds
from attestation.testing.snp import FakeAmd

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
KEPT = Kept(b"certificate", AT)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "a" / "b")
    cache.save("/vcek/v1/Milan/crl", KEPT)
    assert cache.load("/vcek/v1/Milan/crl") == KEPT
    assert DiskCache(tmp_path / "a" / "b").load("/vcek/v1/Milan/crl") == KEPT


def test_what_was_not_saved_is_missing(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    assert cache.load("/x") is None
    cache.save("/x", KEPT)
    assert cache.load("/y") is None


def test_the_last_one_counts(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    cache.save("/x", KEPT)
    cache.save("/x", Kept(b"newer", AT))
    assert cache.load("/x") == Kept(b"newer", AT)
    assert len(list(tmp_path.iterdir())) == 1


def test_files_are_readable_by_all_and_writable_by_us(tmp_path: Path) -> None:
    DiskCache(tmp_path).save("/x", KEPT)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o644


@given(path=st.text(max_size=80))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_leads_outside(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "cache"
    cache = DiskCache(folder)
    cache.save(path, KEPT)
    assert cache.load(path) == KEPT
    assert list(tmp_path.iterdir()) == [folder]
    assert all(file.is_file() for file in folder.iterdir())


def test_a_directory_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    cache = DiskCache(file)
    cache.save("/x", KEPT)
    assert cache.load("/x") is None


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DiskCache(tmp_path)
    cache.save("/x", KEPT)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "utime", fail)
    cache.save("/x", Kept(b"newer", AT))
    assert cache.load("/x") == KEPT
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_is_too_large_is_missing(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    cache.save("/x", Kept(bytes(MAX_SIZE + 1), AT))
    assert cache.load("/x") is None


def test_two_clients_share_it(tmp_path: Path) -> None:
    machine = FakeAmd().machine()
    service = FakeKds(machine.amd, [machine])
    first, second = (Kds(service, DiskCache(tmp_path), now=service.now, sleep=service.sleep) for _ in range(2))
    assert first.vcek(machine.product, machine.chip_id, machine.tcb) == second.vcek(
        machine.product, machine.chip_id, machine.tcb
    )
    assert len(service.requests) == 1
