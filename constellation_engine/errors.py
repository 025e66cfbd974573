# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Everything `constellation_engine` raises of its own, one tree.

    EngineError
    ├── ComponentError        a Kubernetes component cannot be had
    │   ├── ManifestError     the list of components cannot be read
    │   ├── UnknownComponentError    a component or a version is not in the list
    │   ├── CacheError        the folder of components cannot be used
    │   ├── NotCachedError    a component is not in the folder
    │   ├── DownloadError     a download failed
    │   ├── HashMismatchError a file is not the one that was pinned
    │   ├── BuildError        Go does not build a component
    │   └── GaveUpError       it took too long, or was called off
    └── ControlPlaneError     a control plane for tests does not start, or a program of it stopped

Errors of `constellation_core` and `attestation` pass through as they are. Each carries `hint`: what the reader can do
next.
"""

from __future__ import annotations


class EngineError(Exception):
    """Root of the tree.

    Args:
        message: one sentence: what was expected, what came.
        hint: what to do next; empty where the message says it all.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ComponentError(EngineError):
    """A Kubernetes component cannot be had."""


class ManifestError(ComponentError):
    """The list of components cannot be read."""


class UnknownComponentError(ComponentError):
    """A component, or a version, that is not in the list."""


class CacheError(ComponentError):
    """The folder of components cannot be used."""


class NotCachedError(ComponentError):
    """A component is not in the folder."""


class DownloadError(ComponentError):
    """A download failed."""


class HashMismatchError(ComponentError):
    """A file is not the one that was pinned."""


class BuildError(ComponentError):
    """Go does not build a component."""


class GaveUpError(ComponentError):
    """It took too long, or was called off."""


class ControlPlaneError(EngineError):
    """A control plane for tests does not start, or a program of it stopped."""
