# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a registry wants of a release: the zip, a manifest, and the hashes of both.

The same environment gives the same bytes, wherever it is. The hashes are to be signed by whoever publishes.
https://developer.hashicorp.com/terraform/registry/providers/publishing#manually-preparing-a-release
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from terraform_provider_constellation.packaging.archive import write_archive
from terraform_provider_constellation.packaging.errors import FolderError
from terraform_provider_constellation.packaging.frozen import freeze
from terraform_provider_constellation.packaging.release import Processor, Release
from terraform_provider_constellation.packaging.required import require_to_pack

_MANIFEST: Final = {"version": 1, "metadata": {"protocol_versions": ["6.0"]}}


@dataclass(frozen=True, slots=True)
class Package:
    """Files of a release.

    Attributes:
        archive: the zip.
        manifest: which protocol the provider speaks.
        sums: SHA-256 of both.
    """

    archive: Path
    manifest: Path
    sums: Path


def package(folder: Path, version: str, *, timeout: float) -> Package:
    """Pack the provider of this environment.

    Args:
        folder: where the three files go.
        version: as registries say it.
        timeout: seconds.

    Raises:
        FreezeError: the program cannot be packed.
        FolderError: the folder cannot be written.
        MissingToolError: something that is needed is not installed.
        PlatformError: registries have no name for this machine.
    """
    release = Release(version, Processor.ours())
    require_to_pack()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".") as temporary:
            return _make(Path(temporary), folder, release, timeout)
    except OSError as error:
        hint = "name another folder: --output FOLDER"
        raise FolderError(f"{error.filename or folder} cannot be written: {error.strerror}", hint=hint) from error


def _make(work: Path, folder: Path, release: Release, timeout: float) -> Package:
    frozen = work / "frozen"
    freeze(frozen, name=release.program, timeout=timeout)
    archive, manifest, sums = (work / name for name in (release.archive, release.manifest, release.sums))
    write_archive(frozen, archive)
    manifest.write_text(json.dumps(_MANIFEST) + "\n", encoding="utf-8")
    sums.write_text("".join(map(_sum, (manifest, archive))), encoding="utf-8")
    return Package(*(path.replace(folder / path.name) for path in (archive, manifest, sums)))


def _sum(path: Path) -> str:
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
