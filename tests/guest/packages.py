# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The Debian packages of the guest, pinned by content: `debian.toml`, in the format of `images/services/debian.toml`.

apt resolves what the wanted packages need. Nothing is installed, so what only matters to an installation is left out.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from constellation_engine.debian import mirror, packages

if TYPE_CHECKING:
    from constellation_engine.debian.packages import Package

LOCK: Final = Path(__file__).with_name("debian.toml")
WANTED: Final = (
    "cryptsetup-bin",
    "dmsetup",
    "e2fsprogs",
    "iproute2",
    "kmod",
    "libffi8",
    "libgcc-s1",
    "libpython3.13-stdlib",
    "libssl3t64",
    "libstdc++6",
    "linux-image-cloud-amd64",
    "mount",
    "nftables",
    "python3.13-minimal",
    "udev",
    "util-linux",
)
FOR_INSTALLATION: Final = frozenset(
    {
        "coreutils",
        "cpio",
        "debconf",
        "dracut-install",
        "initramfs-tools",
        "initramfs-tools-bin",
        "initramfs-tools-core",
        "klibc-utils",
        "libklibc",
        "libpam-modules",
        "libpam-modules-bin",
        "libpam-runtime",
        "linux-base",
        "linux-image-cloud-amd64",
        "logsave",
        "media-types",
        "readline-common",
        "systemd",
        "tzdata",
    }
)
_HEAD: Final = """\
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
#
# Debian packages of the machine that tests run in. Written by `python -m tests.guest`.
"""


def read_lock() -> tuple[Package, ...]:
    """Read the list."""
    entries = tomllib.loads(LOCK.read_text(encoding="utf-8"))["package"]
    return tuple(packages._package(entry, LOCK) for entry in entries)


def write_lock() -> tuple[Package, ...]:
    """Pin the newest versions."""
    newest = _newest(mirror.machine_mirrors())
    entries = (f"\n[[package]]\n{packages._fields(package)}" for package in newest)
    LOCK.write_text(_HEAD + "".join(entries), encoding="utf-8")
    return newest


def _newest(mirrors: mirror.Mirrors) -> tuple[Package, ...]:
    """Give the newest version of all that is needed, by an index that the archive signed."""
    with TemporaryDirectory(prefix="constellation-apt-") as folder:
        configuration = mirror._configure(Path(folder), mirrors, mirror.KEYRING)
        environment = {**os.environ, "APT_CONFIG": str(configuration), "LC_ALL": "C"}
        mirror._run(("apt-get", "update", "--quiet", "--error-on=any"), environment)
        hashes = ("--option", "Acquire::ForceHash=sha256")
        command = ("apt-get", "install", "--print-uris", "--yes", "--no-install-recommends", *hashes, *WANTED)
        found = mirror._run(command, environment)
    resolved = [mirror._package(match, mirrors) for match in mirror._FOUND.finditer(found)]
    return tuple(sorted((item for item in resolved if item.name not in FOR_INSTALLATION), key=lambda item: item.name))
