# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Debian packages for tests: a control file, and nothing to install."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

from constellation_engine.node_image.packages import DebianPackage

if TYPE_CHECKING:
    from pathlib import Path


def build_deb(control: str) -> bytes:
    """Make a package of its control file."""
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": _tar({"./control": control.encode()}),
        "data.tar.xz": _tar({}),
    }
    return b"!<arch>\n" + b"".join(_member(name, content) for name, content in members.items())


def write_deb(folder: Path, name: str, version: str, architecture: str = "amd64", source: str = "") -> DebianPackage:
    """Write a package as apt calls it in its cache; give its record.

    Args:
        folder: where to.
        name: of the package.
        version: of it, with epoch.
        architecture: of it.
        source: the field "Source", if it has one.
    """
    control = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nDescription: nothing\n of use\n"
    content = build_deb(control + (f"Source: {source}\n" if source else ""))
    file = folder / f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    source_name, _, source_version = source.partition(" ")
    return DebianPackage(
        name,
        version,
        architecture,
        hashlib.sha256(content).hexdigest(),
        source_name or name,
        source_version.strip("()") or version,
    )


def _member(name: str, content: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
    return header + content + bytes(len(content) % 2)


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
