# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The file that the node image brings is what the engine would apply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_engine.cluster.manifests.first import PATH, first_objects_file

if TYPE_CHECKING:
    from pathlib import Path


def test_the_file_is_what_is_generated_today(repository: Path) -> None:
    assert (repository / PATH).read_text(encoding="utf-8") == first_objects_file(), "run `make generate`"


def test_it_brings_no_service() -> None:
    assert "DaemonSet" not in first_objects_file()
