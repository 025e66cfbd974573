# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A trivial Terraform provider on our framework, the same as `terraform_peer/main.go` on HashiCorp's."""

from __future__ import annotations

from terraform_provider_constellation.plugin.api import (
    Model,
    Operation,
    Provider,
    Resource,
    computed,
    keep,
    optional,
    required,
)


class Plant(Model):
    """A plant."""

    name: str = required()
    count: int = optional(default=1)


class Bed(Model):
    """A bed."""

    id: str = computed(plan=[keep])
    name: str = required()
    plants: list[Plant] = required()


class Beds(Resource[Bed]):
    """Keeps what was planned."""

    name = "garden_bed"

    async def create(self, plan: Bed, call: Operation[Bed]) -> Bed:
        """Give it a number."""
        del call
        plan.id = f"bed-{plan.name}"
        return plan

    async def read(self, state: Bed, call: Operation[Bed]) -> Bed:
        """Nothing changes by itself."""
        del call
        return state

    async def update(self, prior: Bed, plan: Bed, call: Operation[Bed]) -> Bed:
        """Change it."""
        del prior, call
        return plan

    async def delete(self, state: Bed, call: Operation[Bed]) -> None:
        """Remove it."""


class Garden(Provider[Model]):
    """A garden."""

    name = "garden"
    resources = (Beds(),)
