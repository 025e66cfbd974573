# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Functions: a typed Python function is a function of Terraform.

    @function
    def extend(old: str, *events: str) -> str:
        '''Extend a register.

        Each event is hashed into the old value.
        '''

    provider::zoo::extend("00", "ab", "cd")

The signature says parameters and result, the docstring's first line the summary. A parameter whose annotation allows
None takes null. With an unknown argument Terraform does not call the function: its result is unknown too. A function
has no effects, and gives the same for the same.
"""

from __future__ import annotations

import inspect
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from terraform_provider_constellation.plugin.errors import ArgumentError, SchemaError
from terraform_provider_constellation.plugin.schema.declarations import is_nullable, kind_of
from terraform_provider_constellation.plugin.schema.kinds import Kind, load, misfits
from terraform_provider_constellation.plugin.wire.paths import Path
from terraform_provider_constellation.plugin.wire.types import untyped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from terraform_provider_constellation.plugin.wire.types import Value


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter.

    Attributes:
        name: to Terraform.
        kind: what its annotation says.
        nullable: whether it may be null.
        description: for people: the second part of `Annotated[str, "…"]`.
    """

    name: str
    kind: Kind
    nullable: bool
    description: str

    def load(self, value: Value) -> Any:  # noqa: ANN401 - what the annotation says
        """An argument as the function sees it.

        Raises:
            ArgumentError: the kind has no place for it.
        """
        for misfit in misfits(self.kind, value, Path()):
            raise ArgumentError(self.name, f"Expected {misfit.expected}, got {misfit.value}.")
        return untyped(load(self.kind, value))


@dataclass(frozen=True, slots=True)
class Function:
    """A function.

    Attributes:
        call: the Python function.
        name: to Terraform.
        parameters: those with a place of their own.
        variadic: the one that takes all further arguments.
        result: kind of the result.
        summary: one line.
        description: everything, in Markdown.
    """

    call: Callable[..., Any]
    name: str
    parameters: Sequence[Parameter]
    variadic: Parameter | None
    result: Kind
    summary: str
    description: str

    def parameter(self, index: int) -> Parameter:
        """The parameter of an argument.

        Raises:
            ArgumentError: there are more arguments than parameters.
        """
        if index < len(self.parameters):
            return self.parameters[index]
        if self.variadic is None:
            raise ArgumentError("", f"expected {len(self.parameters)} arguments, got more")
        return self.variadic


def function(call: Callable[..., Any]) -> Function:
    """Make a function of Terraform.

    Raises:
        SchemaError: a parameter has no annotation, or one that Terraform has no type for.
    """
    hints = typing.get_type_hints(call, include_extras=True)
    described = inspect.cleandoc(call.__doc__ or "")
    positional, variadic = [], None
    for parameter in inspect.signature(call).parameters.values():
        if parameter.name not in hints or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD):
            raise SchemaError(f"{call.__name__}({parameter.name}): expected a positional parameter with an annotation")
        read = _parameter(parameter.name, hints[parameter.name])
        if parameter.kind is parameter.VAR_POSITIONAL:
            variadic = read
        else:
            positional.append(read)
    if "return" not in hints:
        raise SchemaError(f"{call.__name__}: expected an annotation of the result")
    summary = described.partition("\n")[0]
    return Function(call, call.__name__, positional, variadic, kind_of(hints["return"]), summary, described)


def _parameter(name: str, annotation: Any) -> Parameter:  # noqa: ANN401 - any annotation
    plain, *notes = typing.get_args(annotation) if hasattr(annotation, "__metadata__") else (annotation,)
    return Parameter(name, kind_of(plain), is_nullable(plain), " ".join(map(str, notes)))
