# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Open files that a program inherits: so keys reach `cryptsetup` through pipes, and headers through memory."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_core.keys.secret import Secret


def path_of(descriptor: int) -> str:
    """Give the path under which a program sees an open file that it inherits."""
    return f"/proc/self/fd/{descriptor}"


@contextmanager
def readable(secret: Secret) -> Iterator[int]:
    """Give a descriptor from which a secret can be read once; it stays in memory of the kernel."""
    reader, writer = os.pipe()
    try:
        try:
            os.write(writer, secret.reveal())
        finally:
            os.close(writer)
        yield reader
    finally:
        os.close(reader)
