# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whether KVM is used is found out by running a guest, once per boot of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from constellation_engine.machines import Accelerator, Probe, acceleration, probe_kvm
from constellation_engine.machines.acceleration import _boot, _cache_file
from constellation_engine.machines.programs import QEMU, find_program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(_programs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a device that can be opened."""
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(acceleration, "KVM_DEVICE", device)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "constellation"


def test_without_the_device_there_is_nothing_to_try(cache: Path) -> None:
    acceleration.KVM_DEVICE.unlink()
    assert probe_kvm() == Probe(usable=False, reason=f"there is no {acceleration.KVM_DEVICE}")
    assert not cache.exists()


def test_the_answer_is_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probes = iter([Probe(usable=True)])
    monkeypatch.setattr(acceleration, "_boot", lambda _: next(probes))
    said: list[str] = []
    assert probe_kvm(said.append) == probe_kvm(said.append) == Probe(usable=True)
    assert said == ["trying whether a guest runs under KVM"]
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"usable": true, "colour": "red"}'])
def test_a_damaged_answer_is_found_out_again(cache: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setattr(acceleration, "_boot", lambda _: Probe(usable=False, reason="again"))
    cache.mkdir(parents=True)
    _cache_file(find_program(QEMU)).write_text(damage)
    assert probe_kvm().reason == "again"


def test_another_boot_of_the_host_is_another_question(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceleration, "_boot", lambda _: Probe(usable=True))
    probe_kvm()
    boot = tmp_path / "boot_id"
    boot.write_text("another")
    monkeypatch.setattr(acceleration, "_BOOT_ID", boot)
    monkeypatch.setattr(acceleration, "_boot", lambda _: Probe(usable=False, reason="gone"))
    assert probe_kvm().reason == "gone"
    assert len(list(cache.iterdir())) == 1


def test_what_can_be_used_is_used() -> None:
    assert Probe(usable=True).accelerator is Accelerator.KVM
    assert Probe(usable=False).accelerator is Accelerator.TCG


@pytest.mark.usefixtures("_programs")
def test_the_answer_here_is_the_truth() -> None:
    """On a host with KVM a guest runs; on one without, there is a reason."""
    probe = probe_kvm()
    assert probe.usable is not bool(probe.reason)


@pytest.mark.usefixtures("_programs")
def test_a_guest_that_does_not_come_up_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Accelerator.KVM, "_value_", ("no-such-thing", "host", 0))
    probe = _boot(find_program(QEMU))
    assert not probe.usable
    assert "no-such-thing" in probe.reason


@pytest.mark.usefixtures("_programs")
def test_a_guest_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Accelerator.KVM, "_value_", Accelerator.TCG.value)
    monkeypatch.setattr(acceleration, "PROBE_TIMEOUT", 0.3)
    assert _boot(find_program(QEMU)) == Probe(usable=False, reason="a guest does not run: its firmware says nothing")


@pytest.mark.usefixtures("_programs")
def test_a_guest_that_dies_is_not_waited_for(tmp_path: Path) -> None:
    qemu = tmp_path / "qemu"
    qemu.write_text("#!/bin/sh\necho 'KVM internal error. Suberror: 1' >&2\nkill -STOP $$\n")
    qemu.chmod(0o755)
    assert _boot(qemu) == Probe(usable=False, reason="a guest does not run: KVM internal error. Suberror: 1")


@pytest.mark.slow
@pytest.mark.usefixtures("_programs")
def test_a_guest_that_speaks_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Accelerator.KVM, "_value_", Accelerator.TCG.value)
    monkeypatch.setattr(acceleration, "PROBE_TIMEOUT", 50.0)
    assert _boot(find_program(QEMU)) == Probe(usable=True)
