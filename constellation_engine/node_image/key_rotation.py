# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Put another key in the place of the key that signs images, without a moment in which nodes do not believe each other.

Whom a node believes lies in its measured root, so a key cannot be changed in nodes that run. It changes from image to
image, while each image that is in use believes every other one:

| stage | signs | new images believe | go on when |
|---|---|---|---|
| steady | the key | the key | |
| introduced | the key | the key and its successor | every node boots such an image |
| switched | the successor | both | every node boots such an image |
| steady | the successor | the successor | |

    image.key              signs
    image.key.next         will sign, once there is one
    image.key.previous     did sign, until it is retired

`signing.trusted_keys` reads the files, so builds and verifications follow by themselves. A join-config names both keys
in one PEM meanwhile.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING

from constellation_core.errors import SecretFileError
from constellation_engine.errors import ImageKeyError
from constellation_engine.node_image.signing import load_key, load_or_create_key, next_place, previous_place

if TYPE_CHECKING:
    from pathlib import Path


class Stage(StrEnum):
    """How far a key has taken another's place."""

    STEADY = "steady"
    INTRODUCED = "introduced"
    SWITCHED = "switched"


def stage_of(path: Path) -> Stage:
    """Tell how far it is; a switch that was interrupted has not happened."""
    if os.path.lexists(next_place(path)):
        return Stage.INTRODUCED
    return Stage.SWITCHED if os.path.lexists(previous_place(path)) else Stage.STEADY


def check_step(path: Path, wanted: Stage) -> None:
    """See that a stage follows the one that is reached, or is that one. Changes nothing.

    Raises:
        ImageKeyError: a stage in between is missing.
    """
    reached, order = stage_of(path), tuple(Stage)
    if wanted is not reached and wanted is not order[(order.index(reached) + 1) % len(order)]:
        following = order[(order.index(reached) + 1) % len(order)]
        raise ImageKeyError(
            f"{path}: expected the stage {following} after {reached}, asked for {wanted}",
            hint="nodes that boot an image of the stage before would not believe the new one",
        )


def go_to(path: Path, wanted: Stage) -> bool:
    """Go to the next stage; to the one that is reached is no step.

    Args:
        path: of the key that signs.
        wanted: the stage.

    Returns:
        Whether something changed.

    Raises:
        ImageKeyError: a stage in between is missing, or a key is damaged.
        SecretFileError: a key is readable by others, or cannot be made.
    """
    check_step(path, wanted)
    if wanted is stage_of(path):
        return False
    load_key(path)
    steps = {Stage.INTRODUCED: _introduce, Stage.SWITCHED: _switch, Stage.STEADY: _retire}
    try:
        steps[wanted](path)
    except OSError as error:
        raise SecretFileError(f"{path}: cannot go to {wanted}: {error.strerror}") from None
    return True


def _introduce(path: Path) -> None:
    load_or_create_key(next_place(path))


def _switch(path: Path) -> None:
    """Keep the old key under its second name before the new one takes the first: at no time there is none."""
    previous = previous_place(path)
    load_key(next_place(path))
    previous.unlink(missing_ok=True)  # of a switch that was interrupted: the same file
    os.link(path, previous)
    next_place(path).replace(path)


def _retire(path: Path) -> None:
    previous_place(path).unlink()
