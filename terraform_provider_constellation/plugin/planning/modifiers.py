# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a declaration says about the plan of its attribute: `plan=[keep]`, `plan=[replace]`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from terraform_provider_constellation.plugin.wire.unknown import Unknown


@dataclass(slots=True)
class ValueChange:
    """What happens to one attribute, as its annotation sees it; any of the values may be None or Unknown.

    Attributes:
        config: what the configuration says.
        prior: what it was; None if the object is new.
        planned: what it shall be. Modifiers may set it, where the configuration says nothing.
        exists: whether the object that it belongs to existed before.
        replace: whether the resource must be made anew for it. Modifiers may set it.
    """

    config: Any
    prior: Any
    planned: Any
    exists: bool
    replace: bool = False


Modifier = Callable[[ValueChange], None]


def keep(change: ValueChange) -> None:
    """A computed value stays what it was: an id that no update changes. Without this it is unknown in every update."""
    if change.config is None and change.prior is not None and isinstance(change.planned, Unknown):
        change.planned = change.prior


def replace(change: ValueChange) -> None:
    """The resource is made anew if this changes."""
    if change.exists and change.planned != change.prior:
        change.replace = True


def replace_when(condition: Callable[[Any, Any], bool]) -> Modifier:
    """The resource is made anew if this changes in a certain way.

    Args:
        condition: is given the old and the new value, both known, either may be None.
    """

    def modify(change: ValueChange) -> None:
        differs = change.exists and change.planned != change.prior
        if differs and not isinstance(change.planned, Unknown):
            change.replace = condition(change.prior, change.planned)

    return modify
