# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The documentation shows the help of today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_cli.reference import reference

if TYPE_CHECKING:
    from pathlib import Path


def test_the_reference_page_is_what_help_says(repository: Path) -> None:
    page = (repository / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == reference(), "run python -m constellation_cli.reference > docs/cli.md"
