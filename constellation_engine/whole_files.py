# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Files and folders that have their name only when they are whole: written beside their place, then renamed.

Whoever is killed leaves what was there before, and a hidden draft, which the next one removes.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def whole_file(target: Path, *, mode: int) -> Iterator[Path]:
    """Give a path to write to; when the block ends well, the file gets its name, permissions and durability.

    The caller holds the lock, so that what lies here under a temporary name was left by somebody who was killed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{target.name}.*"):
        stale.unlink()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
        temporary.chmod(mode)
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill; when the block ends well, it takes the place of another, else it disappears.

    The caller holds the lock, and asked `is_replaceable`.
    """
    target = target.resolve()  # "." has no name that a draft could be called after
    draft = target.with_name(f".{target.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        replace_folder(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def replace_folder(draft: Path, target: Path) -> None:
    """Let a folder take the place of another one, which is removed only then.

    Args:
        draft: on the same file system.
        target: a folder, or nothing; its name is the draft's from now on.
    """
    target = target.resolve()
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def is_replaceable(folder: Path, mark: str) -> bool:
    """Whether nothing is lost when another folder takes its place: it is not there, empty, or one of ours.

    Args:
        folder: which one; a file is none.
        mark: name of a file that all of ours have.
    """
    if not folder.exists():
        return True
    return folder.is_dir() and ((folder / mark).is_file() or not any(folder.iterdir()))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
