# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A provider, and what it has besides managed resources: data sources, ephemeral resources, lists, functions.

class Zoo(Provider[ZooConfiguration]):
name = "zoo"

def __init__(self) -> None:
self.keeper = Keeper()
self.resources = [Pets(self.keeper)]

async def configure(self, config: ZooConfiguration, call: Call) -> None:
await self.keeper.connect(config.address)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from terraform_provider_constellation.plugin.declared import Declared
from terraform_provider_constellation.plugin.schema.model import Model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from terraform_provider_constellation.plugin.call import Call, Lease
    from terraform_provider_constellation.plugin.function import Function
    from terraform_provider_constellation.plugin.resource import Resource

M = TypeVar("M", bound=Model)
R = TypeVar("R", bound=Model)


class DataSource(Declared, Generic[M]):
    """Something that Terraform reads.

    Attributes:
        name: its type: name of the provider, underscore, and what it is.
        deprecated: what to use instead, if it is deprecated.
    """

    name: ClassVar[str]
    deprecated: ClassVar[str] = ""

    async def read(self, config: M, call: Call) -> M:
        """Fill in what is computed."""
        raise NotImplementedError


class EphemeralResource(Declared, Generic[M]):
    """Something that Terraform opens, uses and closes, and stores nowhere.

    Attributes:
        name: its type: name of the provider, underscore, and what it is.
        deprecated: what to use instead, if it is deprecated.
    """

    name: ClassVar[str]
    deprecated: ClassVar[str] = ""

    async def open(self, config: M, call: Lease) -> M:
        """Make it, and say by `call.renew_at` when it needs renewing; `call.private` comes back when it does."""
        raise NotImplementedError

    async def renew(self, call: Lease) -> None:
        """Keep it for longer, and say when it needs renewing again."""

    async def close(self, call: Lease) -> None:
        """Give it up."""


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """One of the resources of a list.

    Attributes:
        title: what people call it.
        state: of the resource; at least what identifies it.
    """

    title: str
    state: R


class ListResource(Declared, Generic[M, R]):
    """Finds existing resources of one type: `list` blocks of `terraform query`, from Terraform 1.14.

    Attributes:
        name: the type of the managed resources; they must have an identity.
    """

    name: ClassVar[str]

    def find(self, config: M, call: Call) -> AsyncIterator[Found[R]]:
        """Yield what is there. Nobody asks for more than Terraform's limit."""
        raise NotImplementedError


class Provider(Declared, Generic[M]):
    """A provider.

    Attributes:
        name: what the names of its resources begin with.
        resources: managed resources.
        data_sources: data sources.
        ephemeral_resources: ephemeral resources.
        list_resources: lists of managed resources.
        functions: functions.
    """

    name: ClassVar[str]
    resources: Sequence[Resource[Any]] = ()
    data_sources: Sequence[DataSource[Any]] = ()
    ephemeral_resources: Sequence[EphemeralResource[Any]] = ()
    list_resources: Sequence[ListResource[Any, Any]] = ()
    functions: Sequence[Function] = ()

    async def configure(self, config: M, call: Call) -> None:
        """Take over the configuration. At plan time some of it may be unknown yet."""
