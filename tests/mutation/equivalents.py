# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The list of mutants that no test can kill, because they do the same as the real module: `equivalents.toml`."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Final

from tests.mutation.mutants import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE: Final = "tests/mutation/equivalents.toml"


def read_equivalents(root: Path) -> Mapping[Identity, str]:
    """Read the list: mutant → why it is equivalent.

    Raises:
        ValueError: a mutant is listed twice, or without a reason.
    """
    reasons: dict[Identity, str] = {}
    for entry in tomllib.loads((root / FILE).read_text(encoding="utf-8")).get("equivalent", []):
        reason = entry.pop("reason", "").strip()
        identity = Identity(**entry)
        if identity in reasons or not reason:
            raise ValueError(f"{FILE}: listed twice, or without a reason: {identity}")
        reasons[identity] = reason
    return reasons
