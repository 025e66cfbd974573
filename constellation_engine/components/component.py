# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What we know of one program: which bytes it is, where they can be downloaded, how Go builds them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Origin(StrEnum):
    """Where a program comes from. The bytes differ, so each origin has a hash of its own."""

    DOWNLOAD = "download"
    BUILD = "build"


@dataclass(frozen=True, slots=True)
class Download:
    """The project's own release of a program.

    Attributes:
        url: where it is.
        sha256: of what the URL gives, hexadecimal.
        member: name of the program in the tar archive that the URL gives; empty where it gives the program itself.
    """

    url: str
    sha256: str
    member: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How Go builds a program.

    Attributes:
        toolchain: the Go release, as in the environment variable GOTOOLCHAIN: `go1.26.8`.
        platform: operating system and architecture, as Go calls them: `linux/amd64`.
        folder: of go.mod and go.sum.
        package: what is built.
        tags: build tags.
        variables: what the linker sets, `PACKAGE.NAME=VALUE`.
        sha256: of the program, hexadecimal.
        is_test: what is built are the tests of the package, as a program.
    """

    toolchain: str
    platform: str
    folder: Path
    package: str
    tags: tuple[str, ...]
    variables: tuple[str, ...]
    sha256: str
    is_test: bool = False


@dataclass(frozen=True, slots=True)
class Component:
    """One program.

    Attributes:
        name: of the program's file.
        release: the project.
        version: of the project.
        recipe: how to build it.
        download: where to get it instead; None where nobody has published a hash that we could pin.
    """

    name: str
    release: str
    version: str
    recipe: Recipe
    download: Download | None

    @property
    def title(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}"

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Where it can come from, first choice first."""
        return (Origin.DOWNLOAD, Origin.BUILD) if self.download else (Origin.BUILD,)

    def pin(self, origin: Origin) -> str:
        """Give the SHA-256 that decides what is accepted from an origin: of the program, or of the archive."""
        if origin is Origin.DOWNLOAD and self.download:
            return self.download.sha256
        return self.recipe.sha256
