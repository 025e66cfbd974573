# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Everything `cdktf_constellation` raises, one tree.

    DescriptionError
    ├── InvalidDescriptionError   values of one object are not what they must be; names all of them
    ├── DuplicateLabelError       two objects of one kind have the same label
    ├── NotFoundError             what was written holds no such object
    ├── MissingLibraryError       neither cdktn nor cdktf is installed
    └── MissingNodeError          these libraries run on Node.js, and there is none

Each carries `hint`: what the reader can do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cdktf_constellation.model.expectations import Problem


class DescriptionError(Exception):
    """Root of the tree.

    Args:
        message: one sentence: what was expected, what came.
        hint: what to do next; empty where the message says it all.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        if hint:  # whose script this is sees a traceback, which shows notes
            self.add_note(f"hint: {hint}")


class InvalidDescriptionError(DescriptionError):
    """Values of one object are not what they must be.

    Args:
        what: the object: `constellation_cluster.mini`.
        problems: all of them.
    """

    def __init__(self, what: str, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join([f"{what} cannot be:", *(f"  {problem}" for problem in problems)]))
        self.what = what
        self.problems = tuple(problems)


class DuplicateLabelError(DescriptionError):
    """Two objects of one kind have the same label, so that nobody could tell them apart."""


class NotFoundError(DescriptionError):
    """What was written holds no such object, or several."""


class MissingLibraryError(DescriptionError):
    """Neither cdktn nor cdktf is installed."""


class MissingNodeError(DescriptionError):
    """The libraries of constructs run on Node.js, and there is none."""
