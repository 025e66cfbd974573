# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The script that finishes the root gives files of container images to their owners, and takes rights away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with what the script expects of every one."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr/lib/constellation/containerd").mkdir(parents=True)
    return tmp_path


def finalize(repository: Path, root: Path, owners: dict[str, list[int]]) -> Path:
    """Run the script; give the store."""
    store = root / "usr/lib/constellation/containerd"
    (store / "owners.json").write_text(json.dumps(owners))
    command = [sys.executable, str(repository / "images/node/mkosi.finalize")]
    subprocess.run(command, env={"BUILDROOT": str(root)}, check=True, timeout=60)
    return store


def test_files_get_their_owners_and_links_are_not_followed(repository: Path, root: Path) -> None:
    (root / "outside").touch()
    (root / "usr/lib/constellation/containerd/shadow").touch()
    (root / "usr/lib/constellation/containerd/link").symlink_to(root / "outside")
    store = finalize(repository, root, {"shadow": [0, 42], "link": [1000, 50000]})
    found = [
        (path.lstat().st_uid, path.lstat().st_gid) for path in (store / "shadow", store / "link", root / "outside")
    ]
    assert found == [(0, 42), (1000, 50000), (0, 0)]
    assert not (store / "owners.json").exists()


def test_no_program_has_rights_of_its_owner(repository: Path, root: Path) -> None:
    (root / "usr/su").touch()
    (root / "usr/su").chmod(0o4755)
    finalize(repository, root, {})
    assert (root / "usr/su").stat().st_mode & 0o7777 == 0o755
