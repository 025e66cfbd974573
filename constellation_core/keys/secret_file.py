# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Files with secrets: read only where nobody else can, written once, whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from typing import TYPE_CHECKING, Final

from constellation_core.errors import SecretFileError
from constellation_core.keys.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

MAX_SIZE: Final = 64 * 1024
FILE_MODE: Final = 0o600
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_secret_file(path: Path) -> Secret:
    """Read a whole file.

    1. The file is opened as it is named: a symbolic link is refused, and a pipe does not make us wait. Stops files
       that lead elsewhere.
    2. What was opened, not what is there now, is a regular file of ours that group and others have no right to. Stops
       files that others have read or written.
    3. It is neither empty nor longer than 64 KiB.

    Raises:
        SecretFileError: one of these does not hold, or the file cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # 1
    except OSError as error:
        hint = "a file with secrets is not a symbolic link" if path.is_symlink() else ""
        raise SecretFileError(f"cannot read {path}: {error.strerror}", hint=hint) from None
    try:
        _check_private(path, os.fstat(descriptor))  # 2
        return _read(path, descriptor)  # 3
    finally:
        os.close(descriptor)


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SecretFileError(f"{path}: expected a regular file, got another kind")
    if status.st_uid != os.geteuid():
        raise SecretFileError(
            f"{path}: expected a file of user {os.geteuid()}, got one of user {status.st_uid}",
            hint="whoever owns a file can read and change it: use a copy of your own",
        )
    if status.st_mode & OTHERS:
        raise SecretFileError(
            f"{path}: expected mode 0600, got {stat.S_IMODE(status.st_mode):04o}: others may use it",
            hint=f"treat its secret as known to others, or, if you are sure, run: chmod 600 {path}",
        )


def _read(path: Path, descriptor: int) -> Secret:
    content = os.read(descriptor, MAX_SIZE + 1)
    if not 0 < len(content) <= MAX_SIZE:
        size = len(content)
        del content  # a traceback that shows local variables would show it
        raise SecretFileError(f"{path}: expected 1 to {MAX_SIZE} bytes, got {'more' if size else 'none'}")
    return Secret(content)


def create_secret_file(path: Path, content: Secret) -> None:
    """Write a new file of mode 0600: whole or not at all, and never in the place of another.

    Raises:
        SecretFileError: something of that name is there, or it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    try:
        try:
            _write_draft(draft, content)
            os.link(draft, path, follow_symlinks=False)  # unlike a rename, this never replaces what is there
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError:
        raise SecretFileError(
            f"{path} is already there, and is never overwritten",
            hint="a cluster is lost without its secret: move the file away only if its cluster is gone",
        ) from None
    except OSError as error:
        raise SecretFileError(f"cannot write {path}: {error.strerror}", hint="does its folder exist?") from None


def _write_draft(draft: Path, content: Secret) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, FILE_MODE)  # whatever the umask says
        file.write(content.reveal())
        file.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the name of a file as durable as its bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
