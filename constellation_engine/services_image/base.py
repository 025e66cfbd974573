# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The lowest layer: Debian's interpreter and the libraries that it needs, and nothing to run but it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from constellation_engine.container_images import frame
from constellation_engine.debian.root import unpack_packages
from constellation_engine.services_image.packages import PYTHON

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from constellation_engine.debian.packages import Package

TITLE: Final = f"Python {PYTHON} of Debian, and its libraries"

STANDARD_LIBRARY: Final = f"usr/lib/python{PYTHON}"
KEPT: Final = (
    *frame.KEPT,
    f"usr/bin/python{PYTHON}",
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
)  # fmt: skip
"""Patterns of `constellation_engine.debian.deb.unpack`."""


def make_base(folder: Path, packages: Mapping[Package, Path]) -> None:
    """Put the lowest layer into a folder.

    Args:
        folder: stands for the root of the file system.
        packages: what it is made of, and where each is.

    Raises:
        DamagedPackageError: a package cannot be unpacked.
    """
    unpack_packages(packages, folder, KEPT)
    frame.make_frame(folder)
