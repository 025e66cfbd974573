# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which Debian packages are in a tree: by dpkg's own list in it, or by the manifest that mkosi writes.

Neither has hashes of the .deb files: those come from a folder of them, such as apt's cache.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from attestation.errors import MalformedError
from constellation_engine.components.cache import sha256_of
from constellation_engine.debian import deb
from constellation_engine.errors import DamagedPackageError, NodeImageError
from constellation_engine.node_image.image_folder import read_bounded
from constellation_engine.node_image.packages import DebianPackage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

STATUS: Final = "var/lib/dpkg/status"
MAX_MANIFEST: Final = 16 * 1024 * 1024  # bytes
_INSTALLED: Final = "install ok installed"
_SOURCE: Final = re.compile(r"(?P<name>\S+)(?: \((?P<version>[^)]+)\))?")


@dataclass(frozen=True, slots=True, order=True)
class InstalledPackage:
    """A package in a tree.

    Attributes:
        name: of the package.
        version: its version, with epoch.
        architecture: of it.
    """

    name: str
    version: str
    architecture: str

    @property
    def title(self) -> str:
        """Name, version and architecture, for people."""
        return f"{self.name} {self.version} ({self.architecture})"

    @property
    def in_pool(self) -> InstalledPackage:
        """The same as files of an archive are called: without epoch."""
        return replace(self, version=self.version.partition(":")[2] or self.version)


def from_dpkg_status(root: Path) -> tuple[InstalledPackage, ...]:
    """Read which packages are installed in a tree (dpkg's list of them), sorted.

    Args:
        root: folder that stands for the root of the file system.

    Raises:
        NodeImageError: it has no such list.
        MalformedError: a package has no version, or no architecture.
    """
    text = read_bounded(root / STATUS, MAX_MANIFEST).decode("utf-8", "replace")
    paragraphs = (_fields(paragraph) for paragraph in text.split("\n\n") if paragraph.strip())
    return tuple(sorted(_installed(fields) for fields in paragraphs if fields.get("Status") == _INSTALLED))


def from_mkosi_manifest(document: bytes) -> tuple[InstalledPackage, ...]:
    """Read which packages mkosi says to have installed (`ManifestFormat=json`), sorted.

    Raises:
        MalformedError: it is not such a manifest.
    """
    try:
        record = json.loads(document)
        entries = [entry for entry in record["packages"] if entry["type"] == "deb"]
        found = {InstalledPackage(str(one["name"]), str(one["version"]), str(one["architecture"])) for one in entries}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MalformedError(
            f"expected a manifest of mkosi with packages, got something else: {error!r:.80}",
            hint="build with ManifestFormat=json",
        ) from None
    return tuple(sorted(found))


def describe(installed: Collection[InstalledPackage], folders: Iterable[Path]) -> tuple[DebianPackage, ...]:
    """Add hashes and source packages, from the .deb files.

    Args:
        installed: which packages.
        folders: where the files are, by the names that apt gives them.

    Raises:
        NodeImageError: files are missing; names all of them.
        DamagedPackageError: a file is no Debian package, or another than its name says.
    """
    named = index_files(folders)
    files = {package: file for package in installed if (file := named.get(package) or named.get(package.in_pool))}
    if missing := [package.title for package in installed if package not in files]:
        raise NodeImageError(
            f"expected a .deb of every package, {len(missing)} are missing: {', '.join(missing)}",
            hint="keep the package cache of the build, or name its folder",
        )
    return tuple(_describe(package, files[package]) for package in installed)


def index_files(folders: Iterable[Path]) -> Mapping[InstalledPackage, Path]:
    """Find .deb files by the names that apt, or an archive, gives them, in folders and below."""
    found = {}
    for folder in folders:
        for file in sorted(folder.rglob("*.deb")):
            parts = unquote(file.stem).split("_")
            if len(parts) == len(("name", "version", "architecture")):
                found[InstalledPackage(*parts)] = file
    return found


def read_control(file: Path) -> dict[str, str]:
    """Read the control file of a .deb, and nothing else of it.

    Raises:
        DamagedPackageError: it is no Debian package.
    """
    try:
        with file.open("rb") as package:
            return _fields(deb.read_control(package))
    except (DamagedPackageError, OSError) as error:
        raise DamagedPackageError(f"{file}: expected a Debian package: {error}") from None


def _describe(package: InstalledPackage, file: Path) -> DebianPackage:
    control = read_control(file)
    found = _installed(control)
    if found != package:
        raise DamagedPackageError(f"{file}: expected {package.title}, got {found.title}")
    source = _SOURCE.fullmatch(control.get("Source", package.name))
    return DebianPackage(
        package.name,
        package.version,
        package.architecture,
        sha256_of(file),
        source["name"] if source else package.name,
        (source and source["version"]) or package.version,
    )


def _installed(fields: Mapping[str, str]) -> InstalledPackage:
    try:
        return InstalledPackage(fields["Package"], fields["Version"], fields["Architecture"])
    except KeyError as missing:
        raise MalformedError(f"a package of dpkg's list lacks {missing}: {fields.get('Package', 'unnamed')}") from None


def _fields(paragraph: str) -> dict[str, str]:
    """Read the fields of a paragraph (deb822(5)); of those with several lines, the first line."""
    lines = (line.partition(":") for line in paragraph.splitlines() if line[:1] not in (" ", "\t", "#"))
    return {name: value.strip() for name, _, value in lines}
