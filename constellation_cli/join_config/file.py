# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Reading the file of a `join-config`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_cli.errors import CommandError
from constellation_cli.files import display_name, read_file

if TYPE_CHECKING:
    from pathlib import Path


def read_text(path: Path) -> str:
    """Read a file as text, whatever it says.

    Raises:
        CommandError: it cannot be read, is empty, too large, or no text.
    """
    from constellation_core.join_config import MAX_SIZE

    try:
        return read_file(path, limit=MAX_SIZE).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{display_name(path)} is no UTF-8: {error.reason} at byte {error.start}") from None
