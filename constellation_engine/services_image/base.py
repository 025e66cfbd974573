# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The lowest layer: Debian's interpreter and the libraries that it needs, and nothing to run but it.

Packages are unpacked, not installed: no script of theirs runs, so no root, no chroot and no emulator is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from constellation_engine.errors import DamagedPackageError
from constellation_engine.services_image.deb import unpack
from constellation_engine.services_image.packages import PYTHON

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from constellation_engine.services_image.packages import Package

USER: Final = 65532
TITLE: Final = f"Python {PYTHON} of Debian, and its libraries"

LIBRARIES: Final = "usr/lib/x86_64-linux-gnu"
STANDARD_LIBRARY: Final = f"usr/lib/python{PYTHON}"
KEPT: Final = (
    "bin",  # symbolic links into /usr
    "lib",
    "lib64",
    "sbin",
    "etc/debian_version",
    "etc/os-release",
    "usr/lib/os-release",
    "usr/lib64/*",
    f"usr/bin/python{PYTHON}",
    f"{LIBRARIES}/*.so*",
    f"!{LIBRARIES}/gconv/*",  # character sets of other centuries
    f"{STANDARD_LIBRARY}/*",
    *(f"!{STANDARD_LIBRARY}/{unused}" for unused in (
        "*test*", "EXTERNALLY-MANAGED", "__phello__/*", "_pyrepl/*", "curses/*", "dbm/*", "pydoc_data/*", "sqlite3/*",
        "sitecustomize.py", "turtle*", "venv/*",
    )),
    # Extension modules of the standard library whose libraries are not in the image, and those for its tests.
    *(f"!{STANDARD_LIBRARY}/lib-dynload/{module}.*" for module in (
        "_bz2", "_curses*", "_dbm", "_lzma", "_sqlite3", "_uuid", "readline", "xx*",
    )),
    f"{STANDARD_LIBRARY}/unittest/*",  # libraries import its mocks
    "usr/share/doc/*/copyright",
)  # fmt: skip
"""Patterns of `constellation_engine.services_image.deb.unpack`."""

MOUNT_POINTS: Final = ("dev", "proc", "run", "sys", "tmp")
OWN_FILES: Final = {
    "etc/group": f"root:x:0:\nconstellation:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/passwd": f"root:x:0:0:root:/:/nonexistent\nconstellation:x:{USER}:{USER}::/:/nonexistent\n",
}


def make_base(folder: Path, packages: Mapping[Package, Path]) -> None:
    """Put the lowest layer into a folder.

    Args:
        folder: stands for the root of the file system.
        packages: what it is made of, and where each is.

    Raises:
        DamagedPackageError: a package cannot be unpacked.
    """
    for package, file in packages.items():
        try:
            control = unpack(file.read_bytes(), folder, KEPT)
        except DamagedPackageError as error:
            raise DamagedPackageError(f"{package.title}: {error}") from None
        # One file each, as in images without dpkg: scanners learn from it what is inside.
        _write(folder / "var/lib/dpkg/status.d" / package.name, control)
    for name in MOUNT_POINTS:
        (folder / name).mkdir(exist_ok=True)
    for name, text in OWN_FILES.items():
        _write(folder / name, text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
