# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Constructs that hold an object of the model: what it says, they write.

The library asks a construct for its attributes when it writes the configuration (`synthesizeAttributes`).
Specification: https://cdktn.io/docs, concepts of constructs; the method is that of generated bindings.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from cdktf_constellation.constructs.library import load_library
from cdktf_constellation.model.block import Block
from cdktf_constellation.model.configuration import PROVIDER, provider_requirement

if TYPE_CHECKING:
    import cdktn as library
    import jsii
    from cdktn import App, TerraformOutput
    from constructs import Construct
else:
    library = load_library()
    App, TerraformOutput = library.App, library.TerraformOutput
    import jsii
    from constructs import Construct

__all__ = ["App", "ConstellationStack", "Construct", "DescribedData", "DescribedResource", "TerraformOutput", "library"]

B = TypeVar("B", bound=Block)

METADATA_VERSION: Final = "constellation"


class Described(Generic[B]):
    """What is common to resources and data sources: the object of the model."""

    def __init__(self, scope: Construct, description: B) -> None:
        super().__init__(scope, description.label, terraform_resource_type=description.TYPE)  # type: ignore[call-arg]
        # Labels of the model are unique in one folder; the library makes ones that are unique in nested constructs.
        self.description: B = replace(description, label=self.friendly_unique_id)  # type: ignore[attr-defined]
        for name, value in self.description.meta_arguments().items():  # the library knows its own ones only
            self.add_override(name, value)  # type: ignore[attr-defined]
        stack = library.TerraformStack.of(scope)
        for name, value in provider_requirement().items():
            stack.add_override(f"terraform.required_providers.{PROVIDER}.{name}", value)
        for kind, blocks in self.description.beside().items():
            for label, body in blocks.items():
                stack.add_override(f"{kind}.{label}", body)

    @property
    def address(self) -> str:
        """Where it is in Terraform."""
        return self.description.address

    @property
    def instances(self) -> str:
        """The expression that all outputs begin with."""
        return self.description.instances

    @jsii.member(jsii_name="synthesizeAttributes")
    def _synthesize_attributes(self) -> dict[str, Any]:
        """Give what stands in the block."""
        return self.description.to_terraform()


class DescribedResource(Described[B], library.TerraformResource):
    """A resource of Terraform."""


class DescribedData(Described[B], library.TerraformDataSource):
    """A data source of Terraform."""


class ConstellationStack(library.TerraformStack):
    """A stack that is the same, byte for byte, whichever library writes it.

    Args:
        scope: the app.
        id_: name of the stack.
    """

    def __init__(self, scope: Construct, id_: str) -> None:
        super().__init__(scope, id_)
        self.add_override("//.metadata.version", METADATA_VERSION)  # else it is the library's
