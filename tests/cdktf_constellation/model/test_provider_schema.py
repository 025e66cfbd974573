# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The model has every argument that the provider has, and no other; its outputs are attributes of the provider."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from cdktf_constellation import model
from cdktf_constellation.model.block import Addressed, Block
from cdktf_constellation.model.expectations import EXPECTATION
from cdktf_constellation.model.record import Record
from terraform_provider_constellation.objects.join_policy import ControlPlaneLimits
from terraform_provider_constellation.plugin.schema.declarations import schema_of
from terraform_provider_constellation.plugin.schema.timeouts import Timeouts
from terraform_provider_constellation.provider import Constellation
from terraform_provider_constellation.resources.cluster import NetworkConfig

if TYPE_CHECKING:
    from terraform_provider_constellation.plugin.api import Model
    from terraform_provider_constellation.plugin.schema.objects import ObjectSchema

BLOCKS = (
    model.NodeImage,
    model.AttestationPolicy,
    model.LocalMachines,
    model.ConfidentialCluster,
    model.ClusterVerification,
)
NESTED = [
    (model.NetworkConfig, NetworkConfig),
    (model.ControlPlaneLimits, ControlPlaneLimits),
    (model.Timeouts, Timeouts),
]


def provider_schema(name: str) -> ObjectSchema:
    """What the provider says of a resource or data source."""
    provider = Constellation()
    resources = {resource.name: resource.schema for resource in provider.resources}
    return (resources | {source.name: source.schema for source in provider.data_sources})[name]


def arguments(schema: ObjectSchema) -> set[str]:
    """What users may write."""
    return {name for name, one in schema.attributes.items() if one.field.required or one.field.optional}


def described(record: type[Record]) -> set[str]:
    """What a description may say."""
    return {field.name for field in fields(record) if EXPECTATION in field.metadata}


def outputs(block: type[Block]) -> set[str]:
    """What one may refer to."""
    mixins = [base for base in block.__mro__ if Addressed in base.__bases__ and not issubclass(base, Record)]
    return {name for mixin in mixins for name, value in vars(mixin).items() if isinstance(value, property)}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_has_the_arguments_of_the_provider(block: type[Block]) -> None:
    assert described(block) == arguments(provider_schema(block.TYPE))


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_provider_requires_is_required(block: type[Block]) -> None:
    required = {name for name, one in provider_schema(block.TYPE).attributes.items() if one.field.required}
    without_default = {
        field.name for field in fields(block) if field.default is not None and EXPECTATION in field.metadata
    }
    assert without_default == required


@pytest.mark.parametrize("block", BLOCKS)
def test_outputs_are_attributes_of_the_provider(block: type[Block]) -> None:
    assert outputs(block)
    assert outputs(block) <= set(provider_schema(block.TYPE).attributes)


@pytest.mark.parametrize("record, declared", NESTED)
def test_a_nested_object_has_the_attributes_of_the_provider(record: type[Record], declared: type[Model]) -> None:
    assert described(record) == set(schema_of(declared).attributes)
