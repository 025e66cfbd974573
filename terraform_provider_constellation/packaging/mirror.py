# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of providers in a user's home, where Terraform and OpenTofu look before they ask a registry.

    ~/.terraform.d/plugins/REGISTRY/constellation-kubernetes/constellation/VERSION/PLATFORM/

A provider that is here is not looked for anywhere else, so that `terraform init` needs no network.
https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
"""

from __future__ import annotations

import fcntl
import filecmp
import os
import shlex
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from constellation_engine.whole_files import whole_folder
from terraform_provider_constellation.packaging.archive import examine_archive, unpack_archive
from terraform_provider_constellation.packaging.errors import FolderError
from terraform_provider_constellation.packaging.release import Processor, Release
from terraform_provider_constellation.packaging.required import require_to_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ADDRESS: Final = Path("constellation-kubernetes", "constellation")
_LONGEST_FIRST_LINE: Final = 255  # bytes that the kernel reads of it
_SCRIPT: Final = """{start}
# The provider of the environment that `constellation provider install` ran in.
from terraform_provider_constellation.main import main

main()
"""


class Tool(Enum):
    """Who reads the folder; values are its registry and its command."""

    TERRAFORM = ("registry.terraform.io", "terraform")
    OPENTOFU = ("registry.opentofu.org", "tofu")

    def __init__(self, registry: str, command: str) -> None:
        self.registry = registry
        self.command = command


class Kind(StrEnum):
    """What was installed."""

    LINK = "link"  # a script that starts the provider of a Python environment
    PACKAGE = "package"  # what a zip had in it


@dataclass(frozen=True, slots=True)
class Installation:
    """A provider in the folder.

    Attributes:
        release: which one.
        tool: for whom.
        kind: what it is.
        folder: where it is.
        changed: whether it was not there before.
        replaced: whether something else was there before.
    """

    release: Release
    tool: Tool
    kind: Kind
    folder: Path
    changed: bool
    replaced: bool

    def to_mapping(self) -> dict[str, Any]:
        """What programs get."""
        return {
            "provider": f"{self.tool.registry}/{_ADDRESS}",
            "provider_version": self.release.version,
            "platform": self.release.processor.platform,
            "kind": self.kind.value,
            "folder": str(self.folder),
            "changed": self.changed,
        }


@dataclass(frozen=True, slots=True)
class Mirror:
    """The folder of this provider's versions.

    Attributes:
        folder: where.
        tool: for whom.
    """

    folder: Path
    tool: Tool

    @classmethod
    def of_user(cls, tool: Tool) -> Mirror:
        """The one in the user's home."""
        return cls(Path.home() / ".terraform.d" / "plugins" / tool.registry / _ADDRESS, tool)

    def install_link(self, version: str) -> Installation:
        """Install what runs now: a script that starts the provider of this Python environment.

        Args:
            version: of this environment's provider, as registries say it.

        Raises:
            FolderError: the folder cannot be written.
            MissingToolError: this environment has not what the provider needs.
            PlatformError: there is no name for this machine.
        """
        require_to_run()
        release = Release(version, Processor.ours())

        def fill(folder: Path) -> None:
            script = folder / release.program
            script.write_text(_SCRIPT.format(start=_first_lines(sys.executable)), encoding="utf-8")
            script.chmod(0o755)

        return self._install(release, Kind.LINK, fill)

    def install_archive(self, path: Path) -> Installation:
        """Install a zip.

        Raises:
            ArchiveError: the zip is damaged or none of this provider.
            FolderError: the folder cannot be written.
            PlatformError: it is for another machine.
        """
        release = examine_archive(path, Processor.ours())
        return self._install(release, Kind.PACKAGE, lambda folder: unpack_archive(path, folder))

    def uninstall(self) -> list[Path]:
        """Remove all versions, and the folders that are empty then; give what was removed.

        Raises:
            FolderError: the folder cannot be written.
        """
        if not self.folder.exists():
            return []
        with _explained(self.folder), _locked(self.folder):
            versions = sorted(self.folder.iterdir())
            shutil.rmtree(self.folder)
            for parent in self.folder.parents[:2]:  # the namespace and the registry
                if not any(parent.iterdir()):
                    parent.rmdir()
        return versions

    def _install(self, release: Release, kind: Kind, fill: Callable[[Path], None]) -> Installation:
        target = self.folder / release.version / release.processor.platform
        if target.exists() and not target.is_dir():
            raise FolderError(f"{target}: expected a folder, got a file", hint="remove it")
        with _explained(target), _locked(self.folder), whole_folder(target) as draft:
            fill(draft)
            changed, was_there = not _same(draft, target), target.exists()
        return Installation(release, self.tool, kind, target, changed, replaced=changed and was_there)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        hint = "make room for the folder, or let yourself write it"
        raise FolderError(f"{where} cannot be used: {error.strerror}", hint=hint) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _same(new: Path, old: Path) -> bool:
    """Whether two folders have the same files in them."""
    names = [{path.relative_to(folder) for path in folder.rglob("*")} for folder in (new, old)]
    files = [name for name in names[0] if (new / name).is_file()]
    return names[0] == names[1] and not any(filecmp.cmpfiles(new, old, files, shallow=False)[1:])


def _first_lines(python: str) -> str:
    """How a script begins that Python shall run: by way of the shell, if the kernel would not understand its name."""
    line = f"#!{python}"
    if " " not in python and len(line.encode()) <= _LONGEST_FIRST_LINE:
        return line
    return f"#!/bin/sh\n''''exec {shlex.quote(python)} \"$0\" \"$@\" # '''"
