# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The verdict about an image, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constellation_cli.output import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_engine.node_image.verification import ImageVerdict


def verdict_tables(verdict: ImageVerdict) -> Iterator[Table]:
    """Give the verdict, and every reason against the image."""
    rows = (
        ("verdict", "accepted" if verdict.is_accepted else "NOT accepted"),
        ("image", verdict.image or "unknown: nothing that was signed"),
        ("key", verdict.key),
    )
    yield Table("", rows)
    if verdict.mismatches:
        reasons = tuple((one.name, one.expected, one.got, one.hint) for one in verdict.mismatches)
        yield Table("reasons", reasons, ("what", "expected", "got", "hint"))
    if verdict.warnings:
        yield Table("warnings", tuple((warning,) for warning in verdict.warnings))
