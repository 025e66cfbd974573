# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Models: classes whose annotated attributes are a schema, and whose instances are configurations, plans and states.

    class NodeGroup(Model):
        '''Nodes of one kind.'''

        name: str = required("What it is called", plan=[replace()])
        count: int = optional("How many nodes", default=1, validators=[Between(1, 100)])
        addresses: list[str] = computed("Where they are")

An attribute reads as what its annotation says. One that is not known before apply cannot be read: that raises
UnknownValueError, which rules may leave alone. Attributes that nobody gave are None, whatever the annotation says: a
state may have been written before they existed.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from terraform_provider_constellation.plugin.errors import UnknownValueError
from terraform_provider_constellation.plugin.schema.fields import Field
from terraform_provider_constellation.plugin.wire.types import Typed, untyped
from terraform_provider_constellation.plugin.wire.unknown import Unknown, refined

M = TypeVar("M", bound="Model")


class _Member:
    """Descriptor of one attribute."""

    def __init__(self, name: str, field: Field) -> None:
        self.name = name
        self.field = field

    def __get__(self, instance: Model | None, owner: type[Model]) -> Any:  # noqa: ANN401 - what its annotation says
        """The value, if it is known."""
        if instance is None:
            return self
        value = vars(instance)[self.name]
        if _has_unknown(value):
            raise UnknownValueError(f"{owner.__name__}.{self.name} is not known before apply")
        return untyped(value)

    def __set__(self, instance: Model, value: Any) -> None:  # noqa: ANN401 - as above
        """Replace the value. Whether it is of the declared kind is seen when the model goes to Terraform."""
        vars(instance)[self.name] = value


class Model:
    """Base of declared objects. It has no names of its own that could be in the way of attributes.

    Args:
        values: by name; what is left out is None.

    Raises:
        TypeError: there is no such attribute.
    """

    __members__: ClassVar[dict[str, _Member]] = {}

    def __init__(self, **values: object) -> None:
        unexpected = values.keys() - self.__members__.keys()
        if unexpected:
            raise TypeError(f"{type(self).__name__} has no attribute {', '.join(sorted(unexpected))}")
        vars(self).update({name: values.get(name) for name in self.__members__})

    def __init_subclass__(cls) -> None:
        """Turn declarations into descriptors, those of base classes first."""
        own = {name: _Member(name, value) for name, value in vars(cls).items() if isinstance(value, Field)}
        for name, member in own.items():
            setattr(cls, name, member)
        inherited = {
            name: member for base in cls.__bases__ for name, member in getattr(base, "__members__", {}).items()
        }
        cls.__members__ = inherited | own

    def __eq__(self, other: object) -> bool:
        """Whether it is of the same class and has the same values."""
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """What is known, without what is sensitive."""
        shown = ", ".join(f"{name}={_shown(member, vars(self)[name])}" for name, member in self.__members__.items())
        return f"{type(self).__name__}({shown})"


def made(model: type[M], values: dict[str, Any]) -> M:
    """An instance that holds just these values."""
    instance = model.__new__(model)
    vars(instance).update(values)
    return instance


def is_known(instance: Model, name: str) -> bool:
    """Whether an attribute, and everything in it, is known already."""
    return not _has_unknown(vars(instance)[name])


def set_unknown(instance: Model, name: str, *, not_null: bool = False, prefix: str = "") -> None:
    """Plan that an attribute is known after apply only.

    Args:
        instance: the plan.
        name: the attribute.
        not_null: promise that it will not be null.
        prefix: promise how the text will begin.
    """
    setattr(instance, name, refined(not_null=not_null, prefix=prefix))


def replaced(instance: M, **changes: object) -> M:
    """A copy with other values.

    Raises:
        TypeError: there is no such attribute.
    """
    return type(instance)(**(vars(instance) | changes))


def _has_unknown(value: object) -> bool:
    """Whether it cannot be used as it is. Objects look after their own attributes."""
    if isinstance(value, list | tuple):
        return any(map(_has_unknown, value))
    if isinstance(value, dict):
        return any(map(_has_unknown, value.values()))
    return isinstance(value, Unknown) or (isinstance(value, Typed) and _has_unknown(value.value))


def _shown(member: _Member, value: object) -> str:
    if member.field.sensitive or member.field.write_only:
        return "<sensitive>"
    return "<known after apply>" if isinstance(value, Unknown) else repr(value)
