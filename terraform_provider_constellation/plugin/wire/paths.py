# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Where in a configuration something is: `node_groups[1].count`, `registers["4"].expected`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

_STEP: Final = re.compile(r'\.?(?P<name>[A-Za-z_]\w*)|\[(?P<index>\d+)\]|\[(?P<key>"(?:[^"\\]|\\.)*")\]')


class Key(str):
    """Key of an element of a map, where a plain `str` is the name of an attribute."""

    __slots__ = ()


Step = str | int | Key


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from the root of a configuration: names of attributes, indices of lists, keys of maps.

    The protocol cannot name an element of a set, so a path ends at the set.
    """

    steps: tuple[Step, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Path:
        """Read what `str()` gives.

        Raises:
            ValueError: this is no path.
        """
        steps: list[Step] = []
        position = 0
        while position < len(text):
            match = _STEP.match(text, position)
            if match is None or (match["name"] and bool(steps) != text.startswith(".", position)):
                raise ValueError(f"expected a path such as node_groups[1].count, got {text!r}")
            steps.append(match["name"] or (Key(json.loads(match["key"])) if match["key"] else int(match["index"])))
            position = match.end()
        return cls(tuple(steps))

    def __truediv__(self, step: Step | None) -> Path:
        """One step further; None stays where it is."""
        return self if step is None else Path((*self.steps, step))

    def __str__(self) -> str:
        """As a user writes it."""
        return "".join(map(_text, self.steps)).removeprefix(".")


def _text(step: Step) -> str:
    if isinstance(step, Key):
        return f"[{json.dumps(step, ensure_ascii=False)}]"
    return f"[{step}]" if isinstance(step, int) else f".{step}"
