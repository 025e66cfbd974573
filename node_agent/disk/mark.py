# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
r"""The first block of a disk that we format and no cluster has adopted.

    "constellation-state: unfinished\n" UUID "\n", then zeros up to 4096 bytes

It says that what is on the disk is ours and worthless, so a node that lost its power may begin again. It stands where
the LUKS2 header begins later, and that replaces it in one write of one sector: a disk is never both, and never neither.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

BLOCK_SIZE: Final = 4096

_WORDS: Final = b"constellation-state: unfinished\n"


def write_mark(uuid: UUID) -> bytes:
    """Give the block.

    Args:
        uuid: that the disk will have.
    """
    return (_WORDS + str(uuid).encode("ascii") + b"\n").ljust(BLOCK_SIZE, b"\0")


def read_mark(block: bytes) -> UUID | None:
    """Read the block.

    Args:
        block: 4096 bytes.

    Returns:
        The UUID; None where it is no mark.
    """
    text = block.removeprefix(_WORDS)[: len(str(UUID(int=0)))]
    try:
        uuid = UUID(text.decode("ascii"))
    except ValueError:
        return None
    return uuid if block == write_mark(uuid) else None
