# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Give containerd its images at boot, from the store in the measured root.

The image builder left a whole containerd store there, unpacked (`constellation_engine.container_images.store`).
containerd must be able to write to its store, so it works on one on the state disk:

    small files (names, manifests, databases)              copied
    io.containerd.snapshotter.v1.overlayfs/snapshots/N     symbolic links to the folders in the measured root

Layers are read where they lie: nothing is unpacked, and what containers run is checked by dm-verity at every read.

What containerd adds later (other images, containers) stays over reboots. Links are only right for the very store that
they were made for, so with another node image everything begins anew; the kubelet makes the pods again.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from node_agent.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE: Final = Path("/usr/lib/constellation/containerd")
ROOT: Final = Path("/var/lib/containerd")

_DESCRIPTION: Final = "containerd-store.json"  # says what is inside; another text means another store
_SNAPSHOTS: Final = Path("io.containerd.snapshotter.v1.overlayfs/snapshots")
_FOLDER: Final = 0o700  # as containerd makes them


def seed(source: Path = SOURCE, root: Path = ROOT) -> None:
    """Fill containerd's folder, unless it was filled from this very store.

    1. The description is copied last, so a folder that has it is whole.
    2. Anything else in the folder is from another node image, or was interrupted, and goes.

    containerd must not run.

    Args:
        source: the store in the measured root.
        root: folder of containerd; may be a mount point.

    Raises:
        PermanentError: there is no store, or the folder cannot be written.
    """
    try:
        description = (source / _DESCRIPTION).read_bytes()
        if _read(root / _DESCRIPTION) == description:  # 1
            return
        root.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
        _empty(root)  # 2
        _link_snapshots(source / _SNAPSHOTS, root / _SNAPSHOTS)
        for file in _small_files(source):
            _write(root / file.relative_to(source), file.read_bytes())
        _write(root / _DESCRIPTION, description)
    except OSError as error:
        raise PermanentError(f"containerd cannot be given its images from {source}: {error}") from error


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _empty(root: Path) -> None:
    """Remove what is in a folder; the description first, so that half a folder never looks whole."""
    (root / _DESCRIPTION).unlink(missing_ok=True)
    for path in root.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)  # removes links, not what they lead to
        else:
            path.unlink()


def _link_snapshots(source: Path, target: Path) -> None:
    target.mkdir(mode=_FOLDER, parents=True)
    for snapshot in source.iterdir():
        (target / snapshot.name).symlink_to(snapshot)


def _small_files(source: Path) -> Iterator[Path]:
    """Give every file of a store but the description and those in snapshots."""
    for folder, below, names in os.walk(source):
        if Path(folder) == source / _SNAPSHOTS:
            below.clear()
        yield from (Path(folder, name) for name in names if name != _DESCRIPTION)


def _write(target: Path, content: bytes) -> None:
    """Write a file that is whole and on disk when it has its name."""
    target.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.new")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)
