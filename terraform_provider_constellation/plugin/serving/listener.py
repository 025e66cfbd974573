# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The socket that Terraform connects to, in a folder that nobody else may enter."""

from __future__ import annotations

import shutil
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST: Final = 100  # bytes of a path that every system takes for a socket


@contextmanager
def listening(folder: Path | None = None) -> Iterator[socket.socket]:
    """Listen on a socket; it is gone afterwards.

    Args:
        folder: where; a temporary one by default.
    """
    parent = folder or Path(tempfile.gettempdir())
    if len(str(parent)) + len("/terraform-plugin-12345678/provider") > _LONGEST:
        parent = Path("/tmp")  # noqa: S108 - the folder in it is new, and ours alone
    private = tempfile.mkdtemp(prefix="terraform-plugin-", dir=parent)  # mode 0700
    try:
        with socket.socket(socket.AF_UNIX) as endpoint:
            endpoint.bind(f"{private}/provider")
            endpoint.listen()
            yield endpoint
    finally:
        shutil.rmtree(private, ignore_errors=True)
