# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The Debian packages that the image is made of, pinned by content: `images/services/debian.toml`.

    [[package]]
    name = "libc6"
    version = "2.41-12+deb13u4"
    archive = "debian"
    path = "pool/main/g/glibc/libc6_2.41-12%2bdeb13u4_amd64.deb"
    size = 2846580
    sha256 = "…"

Packages are named one by one, without those that Debian would install beside them: the image has an interpreter and the
libraries that it and our wheels load, and no package manager, shell or tool.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from constellation_engine.errors import PackageLockError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RELEASE: Final = "trixie"
ARCHITECTURE: Final = "amd64"
PYTHON: Final = "3.13"  # of that release, as in the node image

WANTED: Final = MappingProxyType(
    {
        "base-files": "the frame of a file system, and what system it is",
        "libc6": "everything",
        "libexpat1": "the interpreter",
        "libffi8": "ctypes, cffi",
        "libgcc-s1": "cryptography and other wheels",
        "libpython3.13-minimal": "the interpreter's library, first half",
        "libpython3.13-stdlib": "the interpreter's library, second half",
        "libssl3t64": "ssl and hashlib; the attested channel brings its own OpenSSL",
        "libstdc++6": "grpcio, protobuf",
        "libzstd1": "libssl3t64",
        "python3.13-minimal": "the interpreter",
        "zlib1g": "the interpreter",
    }
)
"""Package → who needs it."""

_HEAD: Final = """\
# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
#
# Debian packages of the services' image. Written by `constellation services lock`.
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


def read_lock(path: Path) -> tuple[Package, ...]:
    """Read the list.

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
    if sorted(package.name for package in packages) != sorted(WANTED):
        raise PackageLockError(
            f"{path}: expected {', '.join(sorted(WANTED))}, got {', '.join(package.name for package in packages)}",
            hint="run: constellation services lock",
        )
    return packages


def write_lock(packages: Iterable[Package]) -> str:
    """Give the list as text."""
    return _HEAD + "".join(f"\n[[package]]\n{_fields(package)}" for package in packages)


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
