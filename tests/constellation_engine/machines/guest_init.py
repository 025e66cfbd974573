# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""First process of the guest of test_machine_guest.py: say on port 9000 what a machine looks like from inside."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Final

MOUNTS: Final = ("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run")
MODULES: Final = "virtio_pci", "virtio_blk", "virtio_net", "isofs"
STATE_DISK: Final = Path("/dev/disk/by-id/virtio-constellation-state")
CONFIG_DRIVE: Final = "/dev/disk/by-label/CONSTELLATION"
PORT: Final = 9000
ECHO_PORT: Final = 9001
COUNTER_SIZE: Final = 512  # what a disk reads and writes at once


def run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=60)


def count_boots() -> int:
    """Count on the state disk."""
    with STATE_DISK.open("r+b", buffering=0) as disk:
        count = int.from_bytes(disk.read(COUNTER_SIZE)) + 1
        disk.seek(0)
        disk.write(count.to_bytes(COUNTER_SIZE))
    return count


def read_metadata() -> dict[str, Any]:
    place = Path("/run/config")
    place.mkdir()
    run("mount", "-t", "iso9660", "-o", "ro", CONFIG_DRIVE, str(place))
    metadata: dict[str, Any] = json.loads((place / "metadata.json").read_text())
    return metadata


def raise_network(metadata: dict[str, Any]) -> None:
    addresses = {item["mac"]: item["addresses"] for item in metadata["network"]}
    for card in Path("/sys/class/net").glob("e*"):
        for address in addresses.get((card / "address").read_text().strip(), ["10.0.2.15/24"]):
            run("ip", "address", "add", address, "dev", card.name)
        run("ip", "link", "set", card.name, "up")


def ask(peer: str) -> str:
    """Send a word to a peer on the segment until it comes back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(1)
        for _ in range(60):
            sender.sendto(b"echo", (peer, ECHO_PORT))
            try:
                return sender.recv(100).decode()
            except OSError:
                continue
    return "no answer"


def echo() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", ECHO_PORT))
        while True:
            data, sender = server.recvfrom(100)
            server.sendto(data, sender)


def look() -> dict[str, Any]:
    """Find out everything that a test wants to know."""
    metadata = read_metadata()
    raise_network(metadata)
    registers = Path("/sys/class/tpm/tpm0/pcr-sha256")
    return {
        "metadata": metadata,
        "boots": count_boots(),
        "state_disk": int(Path("/sys/class/block", STATE_DISK.resolve().name, "size").read_text()) * 512,
        "registers": {file.name: file.read_text().strip() for file in registers.iterdir()},
        "entropy_devices": Path("/sys/class/misc/hw_random/rng_available").read_text().split(),
        "processors": len(list(Path("/sys/devices/system/cpu").glob("cpu[0-9]*"))),
        "config_drive_is_read_only": Path("/sys/class/block", Path(CONFIG_DRIVE).resolve().name, "ro").read_text(),
    }


def main() -> None:
    os.environ["PATH"] = "/usr/sbin:/usr/bin"
    for kind, place in MOUNTS:
        run("mount", "-t", kind, kind, place)
    run("modprobe", "--all", *MODULES)
    run("/usr/lib/systemd/systemd-udevd", "--daemon")
    run("udevadm", "trigger", "--action=add", "--subsystem-match=block", "--subsystem-match=net")
    run("udevadm", "settle", "--timeout=30")
    facts = look()
    threading.Thread(target=echo, daemon=True).start()
    if peer := facts["metadata"].get("peer"):
        facts["peer_says"] = ask(peer)
    with socket.create_server(("0.0.0.0", PORT)) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                connection.sendall(json.dumps(facts).encode())


if __name__ == "__main__":
    main()
