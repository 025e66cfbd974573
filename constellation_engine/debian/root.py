# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Make the root of a file system from packages, which are unpacked and not installed.

No script of a package runs, so no root, no chroot and no emulator is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_engine.debian.deb import unpack
from constellation_engine.errors import DamagedPackageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from constellation_engine.debian.packages import Package


def unpack_packages(packages: Mapping[Package, Path], folder: Path, patterns: Sequence[str]) -> None:
    """Unpack packages into one folder, and note which they are.

    Args:
        packages: each with its file.
        folder: stands for the root of the file system.
        patterns: of `constellation_engine.debian.deb.unpack`: which files are wanted.

    Raises:
        DamagedPackageError: a package cannot be unpacked.
    """
    for package, file in packages.items():
        try:
            control = unpack(file.read_bytes(), folder, patterns)
        except DamagedPackageError as error:
            raise DamagedPackageError(f"{package.title}: {error}") from None
        # One file each, as in images without dpkg: scanners learn from it what is inside.
        described = folder / "var/lib/dpkg/status.d" / package.name
        described.parent.mkdir(parents=True, exist_ok=True)
        described.write_text(control, encoding="utf-8")
