# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Everything `constellation_services` raises of its own, one tree.

    ServiceError
    ├── KeyRefusedError        the key service does not give a key; carries the refusal
    ├── VolumeRefusedError     a claim asks for what the state disk of one node cannot be
    └── NoClusterError         this node belongs to no cluster, so it makes no statement

Errors of `constellation_core` pass through as they are. Each carries `hint`: what the reader can do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from constellation_services.keys.outcome import Refusal


class ServiceError(Exception):
    """Root of the tree.

    Args:
        message: one sentence: what was expected, what came.
        hint: what to do next; empty where the message says it all.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class KeyRefusedError(ServiceError):
    """The key service does not give a key.

    Args:
        refusal: why, as the caller may know it.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class VolumeRefusedError(ServiceError):
    """A claim asks for what the state disk of one node cannot be, or a volume is not one of ours."""


class NoClusterError(ServiceError):
    """This node belongs to no cluster, or does not say to which: it makes no statement."""
