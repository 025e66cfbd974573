# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of machines: made whole or not at all, removed whole, and changed by one process at a time.

A folder whose name begins with a dot is being made or being removed; when nobody holds its lock (flock(2)), whoever
did that was killed, and the next one cleans up.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from constellation_engine.errors import MachineError, MachineExistsError, MachineNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_TIMEOUT: Final = 120.0  # seconds; a start on a busy host takes a few
_POLL_INTERVAL: Final = 0.02


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only one who changes a machine.

    Args:
        folder: of the machine.

    Raises:
        MachineNotFoundError: there is none, or somebody removed it meanwhile.
        MachineError: somebody else holds it for too long.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        raise MachineNotFoundError(f"{folder}: expected a machine, there is none") from None
    try:
        _wait_for_lock(descriptor, folder)
        if not _is_still(folder, descriptor):
            raise MachineNotFoundError(f"{folder}: the machine was destroyed meanwhile")
        yield
    finally:
        os.close(descriptor)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill; when the block ends well, it gets its name, and otherwise it is gone.

    Args:
        target: its name.

    Raises:
        MachineExistsError: there is one of this name.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(target)
    with _alone_in(target.parent):  # so that nobody takes it for a leftover before it is locked
        folder = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))  # with mode 0700
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield folder
        try:
            folder.rename(target)
        except OSError as error:
            raise MachineExistsError(f"{target}: expected no folder of this name: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def remove(folder: Path) -> None:
    """Remove a folder that the caller has locked: for others it is gone at once, whatever happens then."""
    doomed = Path(tempfile.mkdtemp(prefix=_prefix(folder), dir=folder.parent))
    folder.rename(doomed)  # rename(2) replaces an empty folder
    shutil.rmtree(doomed)


def remove_leftovers(target: Path) -> None:
    """Remove what somebody who was killed left when he made or removed a folder of this name."""
    for stale in target.parent.glob(f"{_prefix(target)}*"):
        with _alone_in(target.parent), suppress(FileNotFoundError), _opened(stale) as descriptor:
            if _try_lock(descriptor):
                shutil.rmtree(stale, ignore_errors=True)


@contextmanager
def _alone_in(parent: Path) -> Iterator[None]:
    """Hold the lock of a folder of machines; nobody does for longer than it takes to make or remove a folder."""
    with _opened(parent) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _prefix(target: Path) -> str:
    return f".{target.name}."


def _wait_for_lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT
    while not _try_lock(descriptor):
        if time.monotonic() > deadline:
            raise MachineError(f"{folder}: another process has been changing the machine for {LOCK_TIMEOUT:g} s")
        time.sleep(_POLL_INTERVAL)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
