# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Debian packages that container images are made of, pinned by content: `images/*/debian.toml`.

    [[package]]
    name = "libc6"
    version = "2.41-12+deb13u4"
    archive = "debian"
    path = "pool/main/g/glibc/libc6_2.41-12%2bdeb13u4_amd64.deb"
    size = 2846580
    sha256 = "…"

Packages are named one by one, without those that Debian would install beside them: an image has a program and the
libraries that it loads, and no package manager, shell or tool.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from constellation_engine.errors import PackageLockError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

RELEASE: Final = "trixie"
ARCHITECTURE: Final = "amd64"
_HEAD: Final = """\
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
#
# Debian packages of the {image}. Written by `{writer}`.
"""
_PATH: Final = re.compile(r"pool/[A-Za-z0-9%+.:/_~-]+\.deb")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Archive(StrEnum):
    """Where Debian publishes packages; the value is the usual last part of a mirror's address."""

    MAIN = "debian"
    SECURITY = "debian-security"


@dataclass(frozen=True, slots=True)
class Package:
    """One pinned package.

    Attributes:
        name: of the package.
        version: its version.
        archive: what publishes it.
        path: where it is in that archive.
        size: bytes.
        sha256: of the file, hexadecimal.
    """

    name: str
    version: str
    archive: Archive
    path: str
    size: int
    sha256: str

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class PackageList:
    """Which packages an image is made of.

    Attributes:
        image: what it is called, for people.
        file: where the packages are pinned, in a checkout.
        wanted: package → who needs it.
    """

    image: str
    file: Path
    wanted: Mapping[str, str]


def read_lock(path: Path, wanted: Collection[str]) -> tuple[Package, ...]:
    """Read the packages of one image.

    Args:
        path: the file.
        wanted: names that must be there.

    Raises:
        PackageLockError: it cannot be read, or does not name each wanted package once.
    """
    try:
        record = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackageLockError(
            f"{path}: {error}", hint="it is part of the repository: is this a whole checkout?"
        ) from None
    entries = record.pop("package", [])
    if record or not isinstance(entries, list):
        raise PackageLockError(f"{path}: expected a list of [[package]] and nothing else")
    packages = tuple(_package(entry, path) for entry in entries)
    if sorted(package.name for package in packages) != sorted(wanted):
        raise PackageLockError(
            f"{path}: expected {', '.join(sorted(wanted))}, got {', '.join(package.name for package in packages)}",
            hint="run: constellation services lock",
        )
    return packages


def write_lock(packages: Iterable[Package], image: str, writer: str = "constellation services lock") -> str:
    """Give the packages of one image as text.

    Args:
        packages: all of them.
        image: what it is called.
        writer: the command that writes them.
    """
    head = _HEAD.format(image=image, writer=writer)
    return head + "".join(f"\n[[package]]\n{_fields(package)}" for package in packages)


def _fields(package: Package) -> str:
    # A JSON string or number of ASCII characters means the same in TOML.
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in asdict(package).items())


def _package(entry: Any, path: Path) -> Package:  # noqa: ANN401 - whatever stands in the file
    try:
        package = Package(**{**entry, "archive": Archive(entry["archive"])})
        texts_fit = _PATH.fullmatch(package.path) and _DIGEST.fullmatch(package.sha256)
        well_formed = texts_fit and ".." not in package.path and type(package.size) is int and package.size > 0
    except (TypeError, KeyError, ValueError):
        well_formed = False
    if not well_formed:
        raise PackageLockError(f"{path}: this is no package: {entry!r:.200}", hint="run: constellation services lock")
    return package
