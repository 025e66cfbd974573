# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A version of the provider for a platform, and what registries call its files.

https://developer.hashicorp.com/terraform/registry/providers/publishing#manually-preparing-a-release
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from terraform_provider_constellation.packaging.errors import PlatformError, VersionError

NAME: Final = "terraform-provider-constellation"

_NUMBER: Final = "(0|[1-9][0-9]*)"
_PYTHON: Final = re.compile(
    rf"(?P<release>{_NUMBER}\.{_NUMBER}\.{_NUMBER})((?P<stage>a|b|rc|\.dev)(?P<number>{_NUMBER}))?"
)
_STAGES: Final = {"a": "alpha", "b": "beta", "rc": "rc", ".dev": "dev"}


class Processor(Enum):
    """Processors, as registries call them.

    Values are what the kernel calls them, and the number that programs for them carry (e_machine of ELF).
    """

    AMD64 = ("x86_64", 62)
    ARM64 = ("aarch64", 183)

    def __init__(self, kernel: str, machine: int) -> None:
        self.kernel = kernel
        self.machine = machine

    @classmethod
    def ours(cls, kernel: str | None = None) -> Processor:
        """The processor of this machine.

        Raises:
            PlatformError: it is another one.
        """
        name = kernel or os.uname().machine
        for processor in cls:
            if processor.kernel == name:
                return processor
        known = " or ".join(processor.kernel for processor in cls)
        raise PlatformError(f"expected a machine with {known}, this one has {name}")

    @property
    def platform(self) -> str:
        """Linux on it, as registries call that."""
        return f"linux_{self.name.lower()}"


@dataclass(frozen=True, slots=True)
class Release:
    """A version for a processor.

    Attributes:
        version: as in Semantic Versioning 2.0.0.
        processor: which one.
    """

    version: str
    processor: Processor

    @property
    def program(self) -> str:
        """The program in the zip."""
        return f"{NAME}_v{self.version}"

    @property
    def archive(self) -> str:
        """The zip."""
        return f"{NAME}_{self.version}_{self.processor.platform}.zip"

    @property
    def manifest(self) -> str:
        """The file that says which protocol the provider speaks."""
        return f"{NAME}_{self.version}_manifest.json"

    @property
    def sums(self) -> str:
        """The file with the hashes of all others, to be signed."""
        return f"{NAME}_{self.version}_SHA256SUMS"


def semantic_version(python: str) -> str:
    """Say a version of Python's (PEP 440) as registries want it.

    `0.2.0` stays as it is, `0.2.0rc1` is `0.2.0-rc.1`, `0.2.0.dev3` is `0.2.0-dev.3`. What has a hyphen is installed
    only where `version = "0.2.0-rc.1"` asks for exactly that.

    Raises:
        VersionError: there is no such version: Semantic Versioning knows nothing that comes after a release.
    """
    found = _PYTHON.fullmatch(python)
    if found is None:
        hint = "give the project a version that registries have, too"
        raise VersionError(f"expected a version such as 0.2.0, 0.2.0rc1 or 0.2.0.dev3, got {python!r}", hint=hint)
    if found["stage"] is None:
        return found["release"]
    return f"{found['release']}-{_STAGES[found['stage']]}.{found['number']}"
