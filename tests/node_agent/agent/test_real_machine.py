# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a real machine has: its parts are the real ones, and it reboots through the service manager."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from attestation.variant import Variant
from constellation_core.roles import Role
from node_agent import power
from node_agent.assembly import RealAssembly
from node_agent.disk import StateDisk
from node_agent.image import ImageFacts, Profile
from node_agent.kubernetes import Kubernetes
from node_agent.metadata.config_drive import ConfigDrive
from node_agent.metadata.record import Metadata
from node_agent.network import Mesh
from node_agent.power import MachinePower
from node_agent.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

FACTS = ImageFacts(
    name="constellation",
    image_version="1.0.0",
    variant=Variant.QEMU_VTPM,
    profile=Profile.RELEASE,
    kubernetes="v1.36.4",
)


@pytest.mark.parametrize("role", Role)
def test_parts_are_real(role: Role) -> None:
    parts = RealAssembly(Settings()).parts(FACTS, Metadata(name="node-0", role=role))
    assert isinstance(parts.disk, StateDisk)
    assert isinstance(parts.mesh, Mesh)
    assert isinstance(parts.kubernetes, Kubernetes)
    assert isinstance(parts.power, MachinePower)


def test_device_and_metadata_are_those_of_the_platform() -> None:
    assembly = RealAssembly(Settings())
    assert assembly.device(FACTS).variant is Variant.QEMU_VTPM
    assert isinstance(assembly.source(FACTS), ConfigDrive)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs before all others."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def systemctl(programs: Path, script: str) -> Path:
    """Make a `systemctl` that notes what it was told."""
    program, told = programs / "systemctl", programs / "told"
    program.write_text(f'#!/bin/sh\necho "$@" >> {told}\n{script}\n')
    program.chmod(0o755)
    return told


async def test_a_reboot_is_in_order(programs: Path) -> None:
    told = systemctl(programs, "exit 0")
    await MachinePower().reboot()
    assert told.read_text() == "--no-block reboot\n"


@pytest.mark.parametrize("script", ["exit 1", "sleep 60"])
async def test_a_reboot_that_does_not_begin_is_forced(
    programs: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(power, "_SECONDS", 0.5)
    told = systemctl(programs, f'[ "$1" = --force ] || {script}')
    await MachinePower().reboot()
    assert told.read_text().splitlines() == ["--no-block reboot", "--force --force reboot"]
