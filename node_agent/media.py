# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Small files on media that the host provides: the config drive, the ESP. Everything on them is a stranger's.

1. The medium is mounted read-only, without programs, devices and set-user bits, for as long as it is read.
2. A name leads to a regular file on it, and to nothing else (attack: a link to a file of ours).
3. A file has so many bytes at most (attack: fill the memory).
"""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node_agent.errors import PermanentError, TemporaryError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPTIONS: Final = "ro,nosuid,nodev,noexec"
_SECONDS: Final = 30.0  # for one program


@contextmanager
def opened(source: Path) -> Iterator[Path]:
    """Give the folder of a medium.

    Args:
        source: block device, or a folder that is there already.

    Raises:
        TemporaryError: there is none, or it cannot be mounted: udev may not have seen all of it yet.
    """
    if source.is_dir():
        yield source
        return
    if not source.is_block_device():
        raise TemporaryError(f"{source} is not there", hint="does the machine have this drive?")
    with tempfile.TemporaryDirectory(prefix="medium-", dir="/run") as folder:
        _run("mount", "-o", _OPTIONS, str(source), folder)  # 1
        try:
            yield Path(folder)
        finally:
            _run("umount", folder)


def read_file(path: Path, *, max_size: int) -> bytes:
    """Read a file of a medium.

    Raises:
        FileNotFoundError: there is none of that name.
        PermanentError: it is no regular file, or too large.
        TemporaryError: the medium cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # 2
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise PermanentError(f"{path.name}: expected a regular file, got another kind")
            content = file.read(max_size + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TemporaryError(f"{path.name} cannot be read: {error.strerror}") from None
    if len(content) > max_size:  # 3
        raise PermanentError(f"{path.name}: expected at most {max_size} bytes, got more")
    return content


def _run(*arguments: str) -> None:
    try:
        done = subprocess.run(arguments, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=_SECONDS)  # noqa: S603 - ours
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TemporaryError(f"{arguments[0]} failed: {error}") from None
    if done.returncode:
        raise TemporaryError(f"{arguments[0]} failed: {done.stderr.decode('utf-8', 'replace').strip()[:200]}")
