# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a `join-config` says, in short."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from constellation_core.join_config import JoinConfig

VERSION: Final = 1
"""Of the records that these commands write."""

SHOWN_DIGITS: Final = 12  # of a digest, as the join service has it in its events


def describe(text: str) -> dict[str, Any]:
    """Give digest and content of a file as plain data.

    Returns:
        `sha256` of the file; `problem`, why the join service refuses it, and `hint`, both empty where it does not; and,
        null where it does, `images`, `policies` (the platforms of explicit ones) and `control_planes`.
    """
    from constellation_core.errors import ConfigError
    from constellation_core.join_config import JoinConfig

    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    try:
        config = JoinConfig.from_yaml(text)
    except ConfigError as error:
        content = dict.fromkeys(("images", "policies", "control_planes"))
        return {"sha256": digest, "problem": str(error), "hint": error.hint, **content}
    return {"sha256": digest, "problem": "", "hint": "", **_content(config)}


def summarise(record: dict[str, Any]) -> str:
    """Give a description in one line."""
    return f"refused: {record['problem']}" if record["problem"] else "; ".join(_sentences(record))


def _content(config: JoinConfig) -> dict[str, Any]:
    images = [image.verify(config.image_key) for image in config.images]
    rule = config.control_planes
    return {
        "images": [{"image": image.image, "variant": image.variant.value} for image in images],
        "policies": [policy.variant.value for policy in config.explicit],
        "control_planes": {"max": rule.max, "approval": rule.approval},
    }


def _sentences(record: dict[str, Any]) -> Iterable[str]:
    if record["images"]:
        yield "images: " + ", ".join(f"{image['image']} ({image['variant']})" for image in record["images"])
    if record["policies"]:
        yield "policies: " + ", ".join(record["policies"])
    rule = record["control_planes"]
    yield f"control planes: {rule['max']}" + (", approved by a person" if rule["approval"] else "")
