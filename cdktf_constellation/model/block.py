# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A block of Terraform: a resource, or a data source, with what Terraform allows of each (meta-arguments)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from cdktf_constellation.model.expectations import Problem
from cdktf_constellation.model.lifecycle import Lifecycle
from cdktf_constellation.model.record import Record, plain
from cdktf_constellation.model.references import Reference, is_unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cdktf_constellation.model.lifecycle import Condition

_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Addressed:
    """What has an address in Terraform, and outputs there."""

    __slots__ = ()

    @property
    def address(self) -> str:
        """Where it is: `data.constellation_image.node`."""
        raise NotImplementedError

    @property
    def instances(self) -> str:
        """The expression that all outputs begin with."""
        return self.address

    def output(self, name: str) -> Reference:
        """Refer to an attribute; of a block with `count` or `for_each`, to a list of it."""
        return Reference.of(f"{self.instances}.{name}")

    def instance(self, key: int | str) -> Reference:
        """Refer to one of the objects of a block with `count` or `for_each`."""
        return Reference.of(f"{self.address}[{json.dumps(key)}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(Addressed, Record):
    """A block.

    Attributes:
        label: its name in Terraform, unique for its type.
        count: how many there are of it.
        for_each: names of which there is one each, or a map of values by name.
        depends_on: what comes before it, where no reference says so.
        provider: which of several configurations of the provider: `constellation.west`.
        lifecycle: how Terraform treats its changes.
        overrides: what the block says beside all that: path with dots → value. The last word, and nobody checks it.
    """

    TYPE: ClassVar[str]
    FOLDER: ClassVar[str] = "resource"
    """Where Terraform JSON has it."""

    label: str = field(kw_only=False)
    count: int | str | None = None
    for_each: Mapping[str, Any] | Sequence[str] | str | None = None
    depends_on: Sequence[Addressed | str] = ()
    provider: str | None = None
    lifecycle: Lifecycle | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.TYPE}.{self.label}"

    @property
    def address(self) -> str:
        """Where it is."""
        return f"{self.TYPE}.{self.label}"

    @property
    def instances(self) -> str:
        """The expression that all outputs begin with."""
        if self.for_each is not None:
            return f"values({self.address})[*]"
        return self.address if self.count is None else f"{self.address}[*]"

    def wrong_values(self) -> Iterator[Problem]:
        """Judge each value by itself."""
        if not _LABEL.fullmatch(str(self.label)):
            expected = "letters, digits, _ and -, beginning with a letter"
            yield Problem("label", expected, f"{self.label!r:.80}")
        if self.count is not None and self.for_each is not None:
            yield Problem("count", "count or for_each, not both")
        if self.count is not None and not is_unknown(self.count) and (type(self.count) is not int or self.count < 0):
            yield Problem("count", "a whole number, at least 0", f"{self.count!r:.80}")
        yield from Record.wrong_values(self)

    def to_terraform(self) -> dict[str, Any]:
        """Give what stands in the block."""
        record = Record.to_terraform(self) | self.meta_arguments()
        for path, value in self.overrides.items():
            _put(record, path.split("."), plain(value))
        return record

    def meta_arguments(self) -> dict[str, Any]:
        """Give what Terraform allows in every block."""
        needed = [one.address if isinstance(one, Addressed) else Reference.bare(one) for one in self.depends_on]
        lifecycle = self._whole_lifecycle()
        given = {
            "count": plain(self.count),
            "for_each": _for_each(self.for_each),
            "depends_on": needed or None,
            "provider": self.provider,
            "lifecycle": lifecycle.to_terraform() if lifecycle is not None else None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def postconditions(self) -> Sequence[Condition]:
        """Give what must hold afterwards, beside what the lifecycle says."""
        return ()

    def _whole_lifecycle(self) -> Lifecycle | None:
        if not (more := self.postconditions()):
            return self.lifecycle
        known = self.lifecycle or Lifecycle()
        return replace(known, postcondition=[*(known.postcondition or ()), *more])

    def beside(self) -> dict[str, Any]:
        """Give what the configuration gets beside the block."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource(Block):
    """A block that is read and not made."""

    FOLDER: ClassVar[str] = "data"

    @property
    def address(self) -> str:
        """Where it is."""
        return f"data.{self.TYPE}.{self.label}"


def _for_each(value: Mapping[str, Any] | Sequence[str] | str | None) -> Any:  # noqa: ANN401 - plain data
    """Give the map or expression; a list of names is a set, for which JSON has no other form."""
    if value is None or isinstance(value, str | Mapping):
        return plain(value)
    return Reference.of(f"toset({json.dumps(sorted(value), ensure_ascii=False)})")


def _put(record: dict[str, Any], path: list[str], value: Any) -> None:  # noqa: ANN401 - plain data
    for name in path[:-1]:
        record = record.setdefault(name, {})
    record[path[-1]] = value
