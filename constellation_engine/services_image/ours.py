# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The highest layer: our own packages, without what is for tests, and the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from constellation_engine.services_image.packages import PYTHON
from constellation_engine.services_image.wheels import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PROGRAM: Final = "usr/bin/constellation-services"
SOURCES: Final = ("attestation", "constellation_core", "constellation_services", "proto/constellation_proto")
TITLE: Final = "Constellation's services"

_KINDS: Final = {".pem", ".py", ".typed"}
_LEFT_OUT: Final = {"__pycache__", "testing"}  # fakes have no place in a cluster, nor in a node
_START: Final = f"""\
#!/usr/bin/python{PYTHON} -I
import sys
from constellation_services.main import main
sys.exit(main())
"""


def copy_ours(repository: Path, folder: Path) -> None:
    """Put our packages and the program into a folder.

    Args:
        repository: where the sources are.
        folder: stands for the root of the file system.
    """
    copy_packages(repository, SOURCES, folder / PACKAGES)
    for licence in (repository / "LICENSES").iterdir():
        _write(folder / "usr/share/doc/constellation" / licence.name, licence.read_bytes())
    _write(folder / PROGRAM, _START.encode("ascii"))
    (folder / PROGRAM).chmod(0o755)


def copy_packages(repository: Path, packages: Iterable[str], target: Path) -> None:
    """Put packages of ours into a folder, without what is for tests.

    Args:
        repository: where the sources are.
        packages: folders in it.
        target: folder that Python will find them in.
    """
    for source in packages:
        for path in (repository / source).rglob("*"):
            below = path.relative_to((repository / source).parent)
            if path.suffix in _KINDS and _LEFT_OUT.isdisjoint(below.parts):
                _write(target / below, path.read_bytes())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
