# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Licences of everything that the packed program has in it: who passes on a program has to pass them on, too."""

from __future__ import annotations

import shutil
import sysconfig
from importlib.metadata import Distribution, distribution, packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES: Final = ("authors", "copying", "licence", "license", "notice")


def copy_licences(program: Path, folder: Path) -> None:
    """Write a folder for Python, and one for each distribution that gave modules to a program.

    Args:
        program: one of PyInstaller's.
        folder: to be made.
    """
    python = Path(sysconfig.get_path("stdlib"), "LICENSE.txt")
    if python.exists():  # Debian has it elsewhere
        _copy(python, folder / "python")
    for found in _distributions(program):
        for file in found.files or ():
            path = Path(str(found.locate_file(file)))
            if path.name.lower().startswith(_NAMES) and path.suffix != ".py" and path.is_file():
                _copy(path, folder / found.name)


def _distributions(program: Path) -> Iterator[Distribution]:
    owners = packages_distributions()
    names = {owner for module in _modules(program) for owner in owners.get(module, ())}
    return map(distribution, sorted(names))


def _modules(program: Path) -> set[str]:
    """Top-level modules of a program; who only installs it needs no PyInstaller."""
    from PyInstaller.archive.readers import CArchiveReader  # type: ignore[import-untyped] # noqa: PLC0415

    modules = CArchiveReader(str(program)).open_embedded_archive("PYZ.pyz")
    return {name.partition(".")[0] for name in modules.toc}


def _copy(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)
