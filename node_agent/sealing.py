# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Memory that nobody changes any more, not even ourselves: memfd_create(2), fcntl(2) "File Sealing"."""

from __future__ import annotations

import fcntl
from typing import Final

_ALL: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def seal(descriptor: int) -> None:
    """Let nobody change it."""
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _ALL)


def is_sealed(descriptor: int) -> bool:
    """Whether nobody can change it.

    Raises:
        OSError: it is no memory that can be sealed.
    """
    return fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) == _ALL
