# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Guests of a host with systemd: started once, started again when QEMU crashes, removed without a trace.

The host has this machine's programs and library, which a bare one would have to be given. It has no KVM.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from constellation_engine.testing.node_images import FakeImage
from tests.collection.hosts import bed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.collection.playing import Player

pytestmark = pytest.mark.slow

ROLE: dict[str, Any] = {"ansible.builtin.include_role": {"name": "constellation.core.guest"}}
UNIT = "constellation-guest-node-0.service"
FOLDER = "/var/lib/constellation/guests/node-0"


@pytest.fixture
def equipped(_bed: None, _programs: None, tmp_path: Path) -> Iterator[bed.Host]:
    """A host with what guests need."""
    with ExitStack() as stack:
        try:
            host = stack.enter_context(bed.booted("hypervisor-1", tmp_path / "hosts", *bed.programs_of_this_machine()))
        except bed.NoBedError as error:
            pytest.skip(str(error))
        FakeImage().write(host.share / "image")
        yield host


def variables(host: bed.Host, **guest: object) -> dict[str, Any]:
    small = {"name": "node-0", "cpus": 1, "memory": 128, "state_disk": 64, **guest}
    return {"guest_guests": [small], "guest_image": str(host.share / "image"), "guest_library": sys.prefix}


def qemu(host: bed.Host) -> str:
    """Give the process that systemd takes for the guest."""
    return host.run("systemctl", "show", "--property=MainPID", "--value", UNIT).stdout.strip()


def is_active(host: bed.Host) -> bool:
    return host.run("systemctl", "is-active", UNIT).stdout == "active\n"


@pytest.mark.timeout(300)
def test_a_guest_is_led_by_systemd(play: Player, equipped: bed.Host, tmp_path: Path) -> None:
    inventory = bed.write_inventory([equipped], tmp_path / "inventory.json")
    wanted = variables(equipped)
    predicted = play([ROLE], inventory=inventory, variables=wanted, check=True, diff=True)
    assert predicted.changed == {"hypervisor-1": 1}, predicted.text
    assert "+guest: running" in predicted.text
    first = play([ROLE], inventory=inventory, variables=wanted, timeout=120)
    assert first.status == 0, first.text
    assert equipped.run("systemctl", "is-active", UNIT).stdout == "active\n", equipped.run(
        "journalctl", "-u", UNIT
    ).stdout
    assert play([ROLE], inventory=inventory, variables=wanted).changed == {"hypervisor-1": 0}

    before = qemu(equipped)
    equipped.run("kill", "-KILL", before)
    deadline = time.monotonic() + 60
    while qemu(equipped) in (before, "0") and time.monotonic() < deadline:
        pass
    assert is_active(equipped)

    stopped, absent = variables(equipped, state="stopped"), variables(equipped, state="absent")
    assert play([ROLE], inventory=inventory, variables=stopped).status == 0
    assert equipped.run("pgrep", "-f", FOLDER).stdout == ""
    assert equipped.run("test", "-e", FOLDER).returncode == 0
    assert play([ROLE], inventory=inventory, variables=absent).status == 0
    assert equipped.run("test", "-e", FOLDER).returncode == 1
    assert equipped.read(f"/etc/systemd/system/{UNIT}") == ""
    assert play([ROLE], inventory=inventory, variables=absent).changed == {"hypervisor-1": 0}
