# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""How an attribute is declared: `name: str = required("What it is called")`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from terraform_provider_constellation.plugin.planning.modifiers import Modifier

    Validator = Callable[[Any], str | None]
    """Looks at a value that is known and not null. It gives None, or what it expected, as words: "a DNS label"."""


class Missing(Enum):
    """Stands where no default was given, for None is one."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What a declaration says besides the annotation.

    Attributes:
        description: for people, in Markdown.
        required: whether the user must give it.
        optional: whether the user may give it.
        computed: whether the provider gives it where the user does not.
        default: what it is where the user does not give it.
        sensitive: whether Terraform hides it.
        write_only: whether it is read from the configuration and stored nowhere.
        deprecated: what to use instead, if it is.
        validators: what a value must be.
        modifiers: what planning does with it.
        same: whether two values mean the same: then the one that Terraform knows stays.
        block: whether it is written as a block: `name { … }`.
        least: number of blocks.
        most: number of blocks; 0 for any.
    """

    description: str = ""
    required: bool = False
    optional: bool = False
    computed: bool = False
    default: Any = MISSING
    sensitive: bool = False
    write_only: bool = False
    deprecated: str = ""
    validators: Sequence[Validator] = ()
    modifiers: Sequence[Modifier] = ()
    same: Callable[[Any, Any], bool] | None = None
    block: bool = False
    least: int = 0
    most: int = 0


def required(
    description: str = "",
    *,
    validators: Sequence[Validator] = (),
    plan: Sequence[Modifier] = (),
    same: Callable[[Any, Any], bool] | None = None,
    sensitive: bool = False,
    write_only: bool = False,
    deprecated: str = "",
) -> Any:  # noqa: ANN401 - the annotation says what it is
    """The user must give it. Arguments: see `Field`."""
    return Field(
        description=description,
        required=True,
        validators=validators,
        modifiers=plan,
        same=same,
        sensitive=sensitive,
        write_only=write_only,
        deprecated=deprecated,
    )


def optional(  # noqa: PLR0913 - as above
    description: str = "",
    *,
    default: Any = MISSING,  # noqa: ANN401 - of the annotation's type
    computed: bool = False,
    validators: Sequence[Validator] = (),
    plan: Sequence[Modifier] = (),
    same: Callable[[Any, Any], bool] | None = None,
    sensitive: bool = False,
    write_only: bool = False,
    deprecated: str = "",
) -> Any:  # noqa: ANN401 - the annotation says what it is
    """The user may give it; where not, it is the default, or what the provider computes, or null."""
    return Field(
        description=description,
        optional=True,
        computed=computed or default is not MISSING,
        default=default,
        validators=validators,
        modifiers=plan,
        same=same,
        sensitive=sensitive,
        write_only=write_only,
        deprecated=deprecated,
    )


def computed(
    description: str = "",
    *,
    plan: Sequence[Modifier] = (),
    same: Callable[[Any, Any], bool] | None = None,
    sensitive: bool = False,
    deprecated: str = "",
) -> Any:  # noqa: ANN401 - the annotation says what it is
    """The provider gives it."""
    return Field(
        description=description,
        computed=True,
        modifiers=plan,
        same=same,
        sensitive=sensitive,
        deprecated=deprecated,
    )


def block(description: str = "", *, least: int = 0, most: int = 0, deprecated: str = "") -> Any:  # noqa: ANN401
    """The user writes it as a block. The annotation is a model, or a list, SetOf or dict of a model.

    Args:
        description: for people, in Markdown.
        least: how many there must be.
        most: how many there may be; 0 for any number.
        deprecated: what to use instead, if it is deprecated.
    """
    return Field(description=description, optional=True, block=True, least=least, most=most, deprecated=deprecated)
