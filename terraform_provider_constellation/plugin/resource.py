# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Managed resources: what Terraform creates, reads, updates and deletes.

    class Pets(Resource[Pet]):
        name = "zoo_pet"

        async def create(self, plan: Pet, call: Operation[Pet]) -> Pet:
            plan.id = await self.keeper.adopt(plan.name)
            return plan

Each method is given typed models and returns one: the new state. It may change and return the model that it was given.
"""

# ruff: noqa: ARG002 - what may be overridden has the parameters of what overrides it
from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from terraform_provider_constellation.plugin.declared import Declared
from terraform_provider_constellation.plugin.errors import ProviderError
from terraform_provider_constellation.plugin.schema.model import Model, made

if TYPE_CHECKING:
    from terraform_provider_constellation.plugin.call import Call, Change, Operation

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long operations may take where the user's `timeouts` block says nothing."""

    create: timedelta = timedelta(minutes=20)
    read: timedelta = timedelta(minutes=5)
    update: timedelta = timedelta(minutes=20)
    delete: timedelta = timedelta(minutes=20)


@dataclass(frozen=True, slots=True)
class ForeignState:
    """The state of a resource of another type, or of another provider, that a `moved` block names.

    Attributes:
        provider: address of its provider: `registry.terraform.io/hashicorp/aws`.
        name: its type.
        version: of its schema.
        values: its state, as JSON has it.
        private: what its provider remembered, if that is JSON.
    """

    provider: str
    name: str
    version: int
    values: dict[str, Any]
    private: dict[str, Any]


class Resource(Declared, Generic[M]):
    """A type of resources.

    Attributes:
        name: its type: name of the provider, underscore, and what it is.
        version: of the schema. A new one wants an `upgrade` from every older one.
        identity: a model of what identifies one for as long as it lives, if there is such a thing.
        identity_version: of that model.
        limits: how long operations may take by default.
        deprecated: what to use instead, if it is deprecated.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 0
    identity: ClassVar[type[Model] | None] = None
    identity_version: ClassVar[int] = 0
    limits: ClassVar[TimeLimits] = TimeLimits()
    deprecated: ClassVar[str] = ""

    async def plan(self, change: Change[M]) -> None:
        """Have a say in a plan, after defaults and modifiers. Look at the world if need be, change nothing in it."""

    async def plan_delete(self, state: M, call: Call) -> None:
        """Have a say in the plan to delete one: warn, or refuse."""

    async def create(self, plan: M, call: Operation[M]) -> M:
        """Make one."""
        raise NotImplementedError

    async def read(self, state: M, call: Operation[M]) -> M | None:
        """See what has become of one; None if it is gone."""
        raise NotImplementedError

    async def update(self, prior: M, plan: M, call: Operation[M]) -> M:
        """Change one. A resource all of whose attributes are replaced needs no such method."""
        raise ProviderError(f"{self.name} cannot be changed", "It can only be made anew.")

    async def delete(self, state: M, call: Operation[M]) -> None:
        """Remove one. That it is gone already is no error."""
        raise NotImplementedError

    async def import_state(self, id_: str, call: Operation[M]) -> M:
        """Find one that exists; a `read` follows, so that what identifies it is enough.

        Args:
            id_: what the user wrote; nothing, if the user gave an identity (`call.identity`).
            call: the operation.
        """
        raise ProviderError(f"{self.name} cannot be imported")

    def upgrade(self, version: int, values: dict[str, Any]) -> dict[str, Any]:
        """Turn a state of an older schema, as JSON has it, into one of this schema."""
        return values

    def upgrade_identity(self, version: int, values: dict[str, Any]) -> dict[str, Any]:
        """Turn an identity of an older model into one of this model."""
        return values

    async def move(self, source: ForeignState, call: Operation[M]) -> M:
        """Take over a resource that had another type; a `read` follows."""
        raise ProviderError(f"{source.name} cannot become {self.name}")

    def identify(self, state: M) -> Model | None:
        """What identifies one; by default the attributes of the state that are called the same."""
        if self.identity is None:
            return None
        return made(self.identity, {name: vars(state).get(name) for name in self.identity.__members__})
