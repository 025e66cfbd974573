# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The socket that Terraform connects to, in a folder that nobody else may enter."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANYWHERE: Final = Path("/tmp")  # noqa: S108 - the folder in it is new, and ours alone
_LONGEST: Final = 100  # bytes of a path that every system takes for a socket


@contextmanager
def listening(folder: Path | None = None) -> Iterator[socket.socket]:
    """Listen on a socket; it is gone afterwards.

    Args:
        folder: where; a temporary one by default.
    """
    parent = folder or Path(os.environ.get("TMPDIR") or _ANYWHERE)
    name = f"terraform-plugin-{os.urandom(8).hex()}"
    if len(os.fsencode(parent / name / "provider")) > _LONGEST or not parent.is_dir():
        parent = _ANYWHERE
    private = parent / name
    private.mkdir(mode=0o700)
    path = private / "provider"
    try:
        with socket.socket(socket.AF_UNIX) as endpoint:
            endpoint.bind(str(path))
            endpoint.listen()
            yield endpoint
    finally:
        path.unlink(missing_ok=True)
        private.rmdir()
