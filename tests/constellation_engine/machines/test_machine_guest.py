# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Two machines of one cluster, as their guests see them: Debian's cloud kernel boots from a disk and tells."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from constellation_core.conditions import Condition, wait_for
from constellation_engine.machines import Forward, Machine, MachineSpec, Segment
from tests.guest import archive
from tests.guest.build import build_system

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BOOT_TIMEOUT = 300.0  # seconds; 30 are usual in emulation
IMAGE_SIZE = 600 << 20  # bytes; the firmware reads no FAT32 that is much smaller
STATE_DISK = 96  # MiB
MODULES = {"cdrom", "isofs", "net_failover", "virtio_blk", "virtio_net"}
START = r"fs0:\vmlinuz.efi initrd=\initrd console=ttyS0 loglevel=4 panic=-1 random.trust_cpu=on"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk that boots into `guest_init.py`."""
    for program in ("mformat", "mcopy"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: mtools): there is no disk to boot from")
    system = build_system(lambda _: None)
    if missing := MODULES - {file.stem for file in system.root.glob("usr/lib/modules/**/*.ko")}:
        pytest.skip(f"the system of tests/guest has no kernel module {', '.join(sorted(missing))}")
    folder = tmp_path_factory.mktemp("image")
    (folder / "root").mkdir()
    init = Path(__file__).with_name("guest_init.py").read_text(encoding="utf-8")
    (folder / "root" / "init").write_text(f"#!/usr/bin/python3.13 -I\n{init}")
    (folder / "root" / "init").chmod(0o755)
    archive.pack(folder / "root", folder / "init.cpio")
    archive.join((system.archive, folder / "init.cpio"), folder / "initrd")
    (folder / "startup.nsh").write_text(START)
    shutil.copyfile(system.kernel, folder / "vmlinuz.efi")
    disk = folder / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(IMAGE_SIZE)
    subprocess.run(["mformat", "-i", disk, "-F", "::"], check=True)
    files = [folder / name for name in ("initrd", "vmlinuz.efi", "startup.nsh")]
    subprocess.run(["mcopy", "-i", disk, *files, "::"], check=True)
    return disk


@dataclass(frozen=True)
class Node:
    """A machine, and what its guest says."""

    machine: Machine
    facts: dict[str, Any]


@pytest.fixture(scope="module")
def nodes(image: Path, _programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Two machines on one segment; the second one spoke to the first."""
    folder = tmp_path_factory.mktemp("machines")
    machines = [
        Machine.create(
            folder / f"node-{number}",
            MachineSpec(
                image=image,
                metadata={"version": 1, "name": f"node-{number}", "peer": peer},
                cpus=number + 1,
                memory=1024,
                state_disk=STATE_DISK,
                forwards=(Forward("init", 9000),),
                segment=Segment.of(str(folder)),
                addresses=(IPv4Interface(f"10.99.0.{number + 1}/24"),),
            ),
        )
        for number, peer in enumerate(("", "10.99.0.1"))
    ]
    try:
        for machine in machines:
            machine.start()
        yield [Node(machine, ask(machine)) for machine in machines]
    finally:
        for machine in machines:
            machine.destroy()


def ask(machine: Machine) -> dict[str, Any]:
    """Ask a guest what it sees."""
    answer: list[dict[str, Any]] = []

    def listen() -> str | None:
        assert "Kernel panic" not in machine.console_log(), machine.console_log()[-4000:]
        address = ("127.0.0.1", machine.spec.host_port("init"))
        with socket.create_connection(address, timeout=5) as connection, connection.makefile("rb") as stream:
            said = stream.read()
        if said:
            answer.append(json.loads(said))
            return None
        return f"nothing; its console: {machine.console_log()[-1000:]}"

    wait_for([Condition(f"{machine.name} answers", listen, (OSError,))], timeout=BOOT_TIMEOUT)
    return answer[0]


def test_the_guest_reads_the_metadata(nodes: list[Node]) -> None:
    for number, node in enumerate(nodes):
        assert node.facts["metadata"]["name"] == f"node-{number}"
        assert node.facts["metadata"]["network"][0]["addresses"] == [f"10.99.0.{number + 1}/24"]
        assert node.facts["config_drive_is_read_only"].strip() == "1"


def test_the_guest_finds_the_state_disk(nodes: list[Node]) -> None:
    assert nodes[0].facts["state_disk"] == STATE_DISK << 20


def test_the_guest_has_the_processors_that_it_should(nodes: list[Node]) -> None:
    assert [node.facts["processors"] for node in nodes] == [1, 2]


def test_the_guest_has_no_entropy_device(nodes: list[Node]) -> None:
    assert [name for name in nodes[0].facts["entropy_devices"] if "virtio" in name] == []


def test_machines_of_a_cluster_reach_one_another(nodes: list[Node]) -> None:
    assert nodes[1].facts["peer_says"] == "echo"


def test_the_firmware_measures_the_boot(nodes: list[Node]) -> None:
    first, second = (node.facts["registers"] for node in nodes)
    assert first["4"] == second["4"] != "00" * 32
    assert first["15"] == "00" * 32


def test_a_reset_keeps_the_disk_and_starts_the_registers_anew(nodes: list[Node]) -> None:
    machine = nodes[0].machine
    before = ask(machine)
    machine.reset()
    after = ask(machine)
    assert after["boots"] == before["boots"] + 1
    assert after["registers"] == before["registers"]
