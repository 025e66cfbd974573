# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The last five accepted versions of `join-config`. ConfigMap `join-config-history`: revision number → YAML.

Two write it: the administrator's tool, and the join service for changes that came by another way. So it is changed only
by `record_history`, in which saying the same twice is saying it once, and only at the `resourceVersion` that was read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

OBJECT_NAME: Final = "join-config-history"
"""Name of the ConfigMap."""
KEPT: Final = 5

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Revision:
    """One version of the file.

    Attributes:
        number: counts up from 1.
        text: the file, YAML.
    """

    number: int
    text: str


def revisions(data: Mapping[str, str] | None) -> tuple[Revision, ...]:
    """Give the revisions in a ConfigMap, oldest first. Keys that are no numbers are nobody's and left out."""
    return tuple(sorted(Revision(int(key), text) for key, text in (data or {}).items() if _NUMBER.fullmatch(key)))


def record_history(data: Mapping[str, str] | None, text: str) -> dict[str, str] | None:
    """Add a version that is accepted now.

    Args:
        data: content of the ConfigMap; None where there is none.
        text: the file, YAML.

    Returns:
        The new content: at most `KEPT` revisions. None where the last revision says the same: nothing is to be written.
    """
    known = revisions(data)
    if known and known[-1].text == text:
        return None
    number = known[-1].number + 1 if known else 1
    kept = [*known, Revision(number, text)][-KEPT:]
    return {str(revision.number): revision.text for revision in kept}
