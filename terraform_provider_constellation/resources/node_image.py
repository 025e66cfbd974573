# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An image as an argument: what `data.constellation_image` gives, or the folder of one."""

from __future__ import annotations

from pathlib import Path

from terraform_provider_constellation.plugin.wire.types import untyped

EXPECTED = "`image` of `data.constellation_image`, or the folder of an image"


def image_value(value: object) -> str | None:
    """Judge an argument."""
    return None if _path(value) else EXPECTED


def where_image_is(value: object) -> Path:
    """Give the folder of an image that `image_value` let pass."""
    return Path(_path(value) or "").expanduser()


def same_image(one: object, other: object) -> bool:
    """Whether two arguments name the same folder."""
    return where_image_is(one).resolve() == where_image_is(other).resolve()


def _path(value: object) -> str | None:
    plain = untyped(value)
    found = plain.get("path") if isinstance(plain, dict) else plain
    return found if isinstance(found, str) and found else None
