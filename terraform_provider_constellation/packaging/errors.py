# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong while the provider is packed or installed.

    CoreError (constellation_core.errors)
    └── PackagingError
        ├── VersionError       registries have no place for this version
        ├── PlatformError      a zip is for another system or processor, or none is known for this one
        ├── MissingToolError   what packs the provider, or belongs into the zip, is not installed
        ├── FreezeError        the program cannot be packed
        ├── ArchiveError       a zip is damaged, or not one of this provider
        └── FolderError        Terraform's folder of providers cannot be written

They stand in the tree of the library, so whoever prints one prints all: a sentence, and a hint what to do next.
"""

from __future__ import annotations

from constellation_core.errors import CoreError


class PackagingError(CoreError):
    """Root of the tree."""


class VersionError(PackagingError):
    """The version cannot be said as registries say theirs."""


class PlatformError(PackagingError):
    """A system or a processor that this is not for."""


class MissingToolError(PackagingError):
    """Something that only whoever packs the provider needs is not installed."""


class FreezeError(PackagingError):
    """The program cannot be packed."""


class ArchiveError(PackagingError):
    """A file is not a whole zip of this provider."""


class FolderError(PackagingError):
    """A folder cannot be read or written."""
