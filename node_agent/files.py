# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Files of this boot that everybody on the node may read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC: Final = 0o644


def write_public(path: Path, content: bytes) -> None:
    """Write a file that everybody may read, whatever the umask says: whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    draft.chmod(PUBLIC)
    draft.replace(path)


def append_public(path: Path, line: bytes) -> None:
    """Append to such a file: one write, so that readers see whole lines."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, PUBLIC)
    try:
        os.fchmod(descriptor, PUBLIC)
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
