# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A copy of the collection as git has it.

ansible-test and ansible-galaxy take every file that they find: compiled Python, drafts, what a test left. The copy has
only what git knows of, or would with the next `git add`.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[3]
PLACE: Final = Path("ansible_collections/constellation/core")


def copy_collection(root: Path, *, kept: str = "") -> Path:
    """Copy it under a root, in the place of what is there.

    Args:
        root: the copy is `root/ansible_collections/constellation/core`, a path that ansible-test demands.
        kept: a path in the copy that stays, as a tool's cache.

    Returns:
        Folder of the copy.
    """
    copy = root / PLACE
    for path in sorted(copy.rglob("*"), reverse=True):
        if not (kept and path.is_relative_to(copy / kept)):
            _remove(path)
    for name in _files():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, root / name, follow_symlinks=False)
    return copy


def _files() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", str(PLACE)]
    found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=REPOSITORY).stdout
    return [Path(name) for name in found.split("\0") if name and (REPOSITORY / name).exists()]


def _remove(path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        path.unlink()
    elif not any(path.iterdir()):
        path.rmdir()
