# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which model a class was declared with: `class Pets(Resource[Pet])` says it once."""

from __future__ import annotations

import typing
from typing import ClassVar

from terraform_provider_constellation.plugin.schema.declarations import schema_of
from terraform_provider_constellation.plugin.schema.model import Model

if typing.TYPE_CHECKING:
    from terraform_provider_constellation.plugin.schema.objects import ObjectSchema


class Declared:
    """Base of the generic classes that are declared with a model.

    Attributes:
        model: the first argument of the generic class; a model without attributes if there is none.
    """

    model: ClassVar[type[Model]] = Model

    def __init_subclass__(cls) -> None:
        """Take the model from the brackets."""
        super().__init_subclass__()
        for base in vars(cls).get("__orig_bases__", ()):
            origin, arguments = typing.get_origin(base), typing.get_args(base)
            is_ours = isinstance(origin, type) and issubclass(origin, Declared)
            if is_ours and isinstance(arguments[0], type):
                cls.model = arguments[0]

    @property
    def schema(self) -> ObjectSchema:
        """What the model declares.

        Raises:
            SchemaError: Terraform would refuse it.
        """
        return schema_of(self.model)
