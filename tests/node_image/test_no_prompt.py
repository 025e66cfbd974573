# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node that cannot boot says why on its serial port, and never offers a prompt, whatever is typed."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from constellation_engine.node_image.disk import open_disk
from constellation_engine.node_image.gpt import PartitionType
from constellation_engine.node_image.image_folder import ImageFile
from tests.node_image.built_images import console_shows, with_kernel_image, with_section

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from constellation_engine.machines import Machine
    from constellation_engine.node_image.image_folder import ImageFolder
    from tests.node_image.built_images import Boot

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
TYPING = 30.0  # seconds
PROMPTS = re.compile(r"(login:|password:|# $|\$ $|\(initramfs\)|sulogin|Press Enter|give root password)", re.IGNORECASE)
ECHO = "echo this-is-$((20+22))"  # a shell would answer 42


def type_for(machine: Machine, seconds: float) -> str:
    """Press what people press, for some time; give what the console showed meanwhile."""
    before = len(machine.console_log())
    end = time.monotonic() + seconds
    with machine.open_console() as console:
        console.settimeout(1)
        while time.monotonic() < end:
            console.sendall(f"\r\n\x03\x1b[23~{ECHO}\r\nroot\r\n".encode())
            try:
                while console.recv(4096):
                    pass
            except TimeoutError:
                pass
    return machine.console_log()[before:]


def shows_no_prompt(machine: Machine) -> bool:
    said = type_for(machine, TYPING)
    return "this-is-42" not in said and not PROMPTS.search(said.replace("\r", ""))


def test_one_changed_byte_of_the_root_stops_the_boot_before_user_space(
    release_image: ImageFolder, altered: Callable[[int, bytes], Path], boot: Boot
) -> None:
    disk = open_disk(release_image.place(ImageFile.DISK))
    (root,) = [one for one in disk.partitions if one.type is PartitionType.ROOT]
    machine = boot(altered(root.offset + 1024, b"\xff"))  # in the super block of erofs
    console = console_shows(machine, "sysroot.mount", seconds=600)
    assert "constellation-node 0" not in console, "the agent did not start"
    assert shows_no_prompt(machine)


def test_a_foreign_state_disk_gives_no_prompt(release_image: ImageFolder, boot: Boot) -> None:
    machine = boot(release_image.place(ImageFile.DISK))
    machine.stop(timeout=0)
    with machine.layout.state_disk.open("r+b") as disk:
        disk.seek(0)
        disk.write(b"LUKS\xba\xbe\x00\x02 broken" * 100)
    machine.start()
    console_shows(machine, "state disk", seconds=600)
    assert shows_no_prompt(machine)


def test_a_broken_initrd_gives_no_prompt(release_image: ImageFolder, tmp_path: Path, boot: Boot) -> None:
    uki = release_image.read(ImageFile.UKI, limit=1 << 30)
    broken = with_section(uki, ".initrd", lambda archive: archive[:4096] + bytes(4096) + archive[8192:])
    machine = boot(with_kernel_image(release_image, tmp_path, broken).place(ImageFile.DISK))
    console_shows(machine, "Kernel panic", seconds=600)
    assert shows_no_prompt(machine)
