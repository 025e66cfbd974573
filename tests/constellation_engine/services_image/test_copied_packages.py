# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Of our packages, images get what runs: no fakes, no caches, no notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_engine.services_image.ours import copy_packages

if TYPE_CHECKING:
    from pathlib import Path


def test_only_what_runs_is_copied(tmp_path: Path) -> None:
    wanted = ("one/__init__.py", "one/py.typed", "one/roots/vendor.pem", "three/__init__.py")
    left_out = ("one/notes.md", "one/testing/fake.py", "one/__pycache__/one.py", "two/__init__.py")
    for name in (*wanted[:-1], *left_out, "below/three/__init__.py"):
        (tmp_path / "sources" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sources" / name).write_text(name)
    copy_packages(tmp_path / "sources", ("one", "below/three"), tmp_path / "target")
    copied = [path for path in (tmp_path / "target").rglob("*") if path.is_file()]
    assert sorted(str(path.relative_to(tmp_path / "target")) for path in copied) == sorted(wanted)
