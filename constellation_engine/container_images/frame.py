# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What every image has beside its programs: mount points, names of users, and where names of hosts are looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

USER: Final = 65532
"""Runs what needs no root; images of many projects have a user of this number."""

LIBRARIES: Final = "usr/lib/x86_64-linux-gnu"
KEPT: Final = (
    "bin",  # symbolic links into /usr
    "lib",
    "lib64",
    "sbin",
    "etc/debian_version",
    "etc/os-release",
    "usr/lib/os-release",
    "usr/lib64/*",
    f"{LIBRARIES}/*.so*",
    f"!{LIBRARIES}/gconv/*",  # character sets of other centuries
    "usr/share/doc/*/copyright",
)
"""What images with programs of Debian have of every package; patterns of `constellation_engine.debian.deb.unpack`."""

_MOUNT_POINTS: Final = ("dev", "proc", "run", "sys", "tmp")
_FILES: Final = {
    "etc/group": f"root:x:0:\nconstellation:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/passwd": f"root:x:0:0:root:/:/nonexistent\nconstellation:x:{USER}:{USER}::/:/nonexistent\n",
}


def make_frame(folder: Path) -> None:
    """Put it into a folder.

    Args:
        folder: stands for the root of the file system.
    """
    for name in _MOUNT_POINTS:
        (folder / name).mkdir(exist_ok=True)
    for name, text in _FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
