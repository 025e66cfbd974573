# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What Terraform will know and Python does not: expressions, as Terraform JSON writes them.

Specification: https://developer.hashicorp.com/terraform/language/syntax/json, expressions are templates in strings.
"""

from __future__ import annotations

import json
from typing import Final

_SHORTEST_TOKEN: Final = -1e300
"""CDK libraries stand for numbers that they do not know by ones that nobody writes, below this."""


class Reference(str):
    """An expression. It is its own text, `${…}`, so that it may stand in other texts: `f"{cluster.host}/healthz"`."""

    __slots__ = ()

    @classmethod
    def of(cls, expression: str) -> Reference:
        """Make one of an expression: `constellation_cluster.mini.nodes`."""
        return cls(f"${{{expression}}}")

    @staticmethod
    def bare(text: str) -> str:
        """Give an address without the marks around it, where Terraform wants the bare one."""
        return text[2:-1] if text.startswith("${") and text.endswith("}") else text

    @property
    def expression(self) -> str:
        """The expression without the marks around it."""
        return self[2:-1]

    def attribute(self, name: str) -> Reference:
        """Refer to an attribute of the object."""
        return Reference.of(f"{self.expression}.{name}")

    def item(self, key: int | str) -> Reference:
        """Refer to an element of the list, or of the map."""
        return Reference.of(f"{self.expression}[{json.dumps(key)}]")

    def each(self, name: str) -> Reference:
        """Refer to an attribute of every element of the list."""
        return Reference.of(f"{self.expression}[*].{name}")


def is_unknown(value: object) -> bool:
    """Whether only Terraform can know a value, or a part of it."""
    if isinstance(value, str):
        return "${" in value or "%{" in value
    if isinstance(value, dict):
        return any(map(is_unknown, value.values()))
    if isinstance(value, list | tuple):
        return any(map(is_unknown, value))
    return isinstance(value, float) and value < _SHORTEST_TOKEN
