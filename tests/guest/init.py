# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""First process of the guest: make the machine usable, run pytest, and end; the kernel then ends too (`panic=-1`)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

MOUNTS: Final = (
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/run"),
    ("tmpfs", "/tmp"),
    ("cgroup2", "/sys/fs/cgroup"),
)
MODULES: Final = ("virtio_pci", "virtio_console", "virtio_blk", "loop", "dm_mod")
ENVIRONMENT: Final = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/sbin:/usr/bin",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # pytest would compile all of hypothesis, in emulation
    "PYTHONPATH": "/repository:/repository/proto",
    "PYTHONUNBUFFERED": "1",
}
PLUGINS: Final = tuple(
    f"-p{name}" for name in ("pytest_asyncio.plugin", "pytest_timeout", "tests.guest.inside", "no:cacheprovider")
)


def run(*command: str) -> None:
    """Run a program of the guest."""
    subprocess.run(command, check=True, env=ENVIRONMENT, timeout=60)


def main() -> None:
    """Do it all."""
    os.chdir("/")
    for kind, place in MOUNTS:
        run("mount", "-t", kind, kind, place)
    run("modprobe", "--all", *MODULES)
    run("/usr/lib/systemd/systemd-udevd", "--daemon")
    run("udevadm", "trigger", "--action=add", "--subsystem-match=block", "--subsystem-match=virtio-ports")
    run("udevadm", "settle", "--timeout=30")
    run("ip", "link", "set", "lo", "up")
    arguments = Path("/repository/arguments.txt").read_text(encoding="utf-8").split()
    command = ("/usr/bin/python3.13", "-m", "pytest", *PLUGINS, "-m", "", "--quiet", *arguments)
    subprocess.run(command, check=False, cwd="/repository", env=ENVIRONMENT)


if __name__ == "__main__":
    main()
