# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What a declared class is to the framework: its attributes with their kinds, resolved and checked, and its rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import TYPE_CHECKING, Any

from terraform_provider_constellation.plugin.errors import WireError
from terraform_provider_constellation.plugin.schema.containers import Entries, Items
from terraform_provider_constellation.plugin.schema.fields import MISSING
from terraform_provider_constellation.plugin.schema.kinds import Kind, Misfit, dump, load, misfits
from terraform_provider_constellation.plugin.schema.model import made
from terraform_provider_constellation.plugin.wire.paths import Key, Path
from terraform_provider_constellation.plugin.wire.types import Object, Type, Value
from terraform_provider_constellation.plugin.wire.unknown import Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from terraform_provider_constellation.plugin.schema.fields import Field
    from terraform_provider_constellation.plugin.schema.model import Model
    from terraform_provider_constellation.plugin.schema.rules import Rule
    from terraform_provider_constellation.plugin.wire.paths import Step


class Nesting(Enum):
    """How an attribute holds objects. The names are the protocol's."""

    SINGLE = auto()
    LIST = auto()
    SET = auto()
    MAP = auto()

    def elements(self, value: Value) -> Iterator[tuple[Step | None, dict[str, Value]]]:
        """The objects that are known, each with the step that leads to it; None where a path cannot lead."""
        if value is None or isinstance(value, Unknown):
            return
        if self is Nesting.SINGLE:
            yield None, value
        elif self is Nesting.MAP:
            yield from ((Key(key), item) for key, item in value.items() if isinstance(item, dict))
        else:
            is_list = self is Nesting.LIST
            yield from (
                (index if is_list else None, item) for index, item in enumerate(value) if isinstance(item, dict)
            )


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of an object, or one type of block in it.

    Attributes:
        name: to Terraform.
        member: in Python: `from_`, where Terraform says `from`.
        field: what its declaration says.
        kind: what its annotation says.
        nullable: whether the annotation allows None.
        nested: the objects that it holds, if it does.
        nesting: how it holds them.
    """

    name: str
    member: str
    field: Field
    kind: Kind
    nullable: bool
    nested: ObjectSchema | None
    nesting: Nesting

    @property
    def default(self) -> Value:
        """The default as Terraform sees it; None if there is none."""
        return None if self.field.default is MISSING else dump(self.kind, self.field.default)

    def elements(self, value: Value) -> Iterator[tuple[Step | None, dict[str, Value]]]:
        """The nested objects of a value, each with the step that leads to it; none if there is nothing nested."""
        if self.nested:
            yield from self.nesting.elements(value)

    @property
    def empty(self) -> Value:
        """What stands for "not given"."""
        if not self.field.block or self.nesting is Nesting.SINGLE:
            return None
        return {} if self.nesting is Nesting.MAP else []


@dataclass(frozen=True)
class ObjectSchema:
    """A class that was declared.

    Attributes:
        model: the class.
        attributes: by their names to Terraform.
        rules: what must be true of several attributes together.
        description: of the class, in Markdown.
    """

    model: type[Model]
    attributes: Mapping[str, Attribute]
    rules: Sequence[Rule]
    description: str

    @cached_property
    def type(self) -> Object:
        """To Terraform."""
        return Object({name: attribute.kind.wire_type for name, attribute in self.attributes.items()})

    def load(self, value: dict[str, Value]) -> Model:
        """An object of Terraform as an instance of the class."""
        values = {item.member: load(item.kind, value.get(name)) for name, item in self.attributes.items()}
        return made(self.model, values)

    def dump(self, instance: Model) -> dict[str, Value]:
        """An instance as an object of Terraform.

        Raises:
            WireError: a value is not of the kind that is declared; the message says which.
        """
        return {name: _dumped(item, vars(instance)[item.member]) for name, item in self.attributes.items()}


def _dumped(attribute: Attribute, value: object) -> Value:
    if value is None:
        return attribute.empty
    try:
        return dump(attribute.kind, value)
    except WireError as error:
        raise WireError(f"{attribute.name}: {error}") from error


class Members(Kind):
    """A model, as the kind of an attribute, element, parameter or result."""

    def __init__(self, schema: ObjectSchema) -> None:
        self.schema = schema

    @property
    def wire_type(self) -> Type:  # type: ignore[override]
        """To Terraform."""
        return self.schema.type

    def load(self, value: Value) -> Any:  # noqa: ANN401
        """An instance."""
        return self.schema.load(value)

    def dump(self, value: Any) -> Value:  # noqa: ANN401
        """An object."""
        if not isinstance(value, self.schema.model):
            raise self.expect(self.schema.model.__name__, value)
        return self.schema.dump(value)

    def misfits(self, value: Value, path: Path) -> Iterator[Misfit]:
        """Those of the attributes."""
        for name, attribute in self.schema.attributes.items():
            yield from misfits(attribute.kind, value.get(name), path / name)


def nested_schema(kind: Kind) -> tuple[ObjectSchema | None, Nesting]:
    """What objects an attribute of this kind holds, and how. Objects deeper in it are mere values."""
    if isinstance(kind, Members):
        return kind.schema, Nesting.SINGLE
    if isinstance(kind, Items) and isinstance(kind.element, Members):
        return kind.element.schema, Nesting.SET if kind.is_set else Nesting.LIST
    if isinstance(kind, Entries) and isinstance(kind.element, Members):
        return kind.element.schema, Nesting.MAP
    return None, Nesting.SINGLE
