# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The model has every argument that the provider has, and no other; its outputs are attributes of the provider."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdktf_constellation import model
from cdktf_constellation.errors import InvalidDescriptionError
from cdktf_constellation.model.block import Addressed, Block
from cdktf_constellation.model.expectations import EXPECTATION
from cdktf_constellation.model.record import Record
from terraform_provider_constellation.objects.join_policy import ControlPlaneLimits
from terraform_provider_constellation.plugin.planning.validation import problems
from terraform_provider_constellation.plugin.schema.declarations import schema_of
from terraform_provider_constellation.plugin.schema.timeouts import Timeouts
from terraform_provider_constellation.provider import Constellation
from terraform_provider_constellation.resources.cluster import NetworkConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cdktf_constellation.model.expectations import Expectation
    from terraform_provider_constellation.plugin.api import Model
    from terraform_provider_constellation.plugin.schema.objects import Attribute, ObjectSchema

BLOCKS = (
    model.NodeImage,
    model.AttestationPolicy,
    model.LocalMachines,
    model.ConfidentialCluster,
    model.ClusterVerification,
)
ALIKE = ("a text", "a whole number", "a list of texts")
"""Types that have rules in both."""
ELSEWHERE = ("endpoints", "on_destroy")
"""Arguments that the provider judges by a type, or by a rule of the whole."""
TEXTS = r"(v?1\.36\.4|[0-9a-f]{64}|[0-9]{1,3}[hms]|[a-z-]{1,34}|release|qemu-vtpm|\{\}|\[\]|10\.[0-9]\.0\.0/[0-9]{1,2})"
"""What some rule likes, or nearly."""
SECRET, SIGNATURE, KEY = "5e" * 32, "TQ==", "-----BEGIN PUBLIC KEY-----"
COMBINATIONS: list[tuple[type[Block], dict[str, Any], bool]] = [
    (model.NodeImage, {}, True),
    (model.NodeImage, {"path": "a"}, True),
    (model.NodeImage, {"folder": "a", "version": "1"}, True),
    (model.NodeImage, {"path": "a", "folder": "b"}, False),
    (model.NodeImage, {"path": "a", "version": "1"}, False),
    (model.AttestationPolicy, {"manifest": "{}", "signature": SIGNATURE, "public_key": KEY}, True),
    (model.AttestationPolicy, {}, False),
    (model.AttestationPolicy, {"manifest": "{}", "public_key": KEY}, False),
    (model.AttestationPolicy, {"manifest": "{}", "signature": SIGNATURE}, False),
    (model.ConfidentialCluster, {"workspace": "w"}, True),
    (model.ConfidentialCluster, {"workspace": "w", "master_secret": SECRET, "master_secret_salt": SECRET}, True),
    (model.ConfidentialCluster, {"workspace": "w", "master_secret_wo": SECRET, "master_secret_wo_version": 1}, True),
    (model.ConfidentialCluster, {"workspace": "w", "master_secret_wo": SECRET}, False),
    (model.ConfidentialCluster, {"workspace": "w", "master_secret_salt": SECRET}, False),
    (
        model.ConfidentialCluster,
        {"workspace": "w", "master_secret": SECRET, "master_secret_wo": SECRET, "master_secret_wo_version": 1},
        False,
    ),
    (model.ClusterVerification, {"workspace": "w"}, True),
    (model.ClusterVerification, {}, False),
    (model.ClusterVerification, {"workspace": "w", "kubeconfig_path": "k"}, False),
    (model.ClusterVerification, {"kubeconfig_path": "k"}, False),
    (model.ClusterVerification, {"endpoints": ["a=b"]}, False),
    (model.ClusterVerification, {"workspace": "w", "attestations": []}, False),
]
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


def words(rules: Iterable[Callable[[Any], str | None]], value: object) -> list[str]:
    """What rules expect instead of a value."""
    return [text for rule in rules if (text := rule(value))]


def typed(block: type[Record], schema: ObjectSchema) -> Iterator[tuple[Expectation, Attribute]]:
    """Arguments whose values have rules, in the model or in the provider."""
    for field in fields(block):
        if EXPECTATION in field.metadata and schema.attributes[field.name].nested is None:
            yield field.metadata[EXPECTATION], schema.attributes[field.name]


@given(
    st.one_of(
        st.integers(-2, 300),
        st.sampled_from([2048, 1 << 20, 1 << 24, (1 << 24) + 1]),
        st.text(),
        st.from_regex(TEXTS, fullmatch=True),
        st.lists(st.sampled_from(["a", "a b", "192.0.2.1", "x=a:1", "::1"]), max_size=40),
    )
)
def test_both_judge_values_alike(value: object) -> None:
    """The same words for the same value, so that what the model takes the provider takes."""
    schemas: dict[type[Record], ObjectSchema] = {block: provider_schema(block.TYPE) for block in BLOCKS}
    for record, schema in {**schemas, model.NetworkConfig: schema_of(NetworkConfig)}.items():
        for ours, theirs in typed(record, schema):
            if ours.fits(value) and ours.what in ALIKE and theirs.name not in ELSEWHERE:
                assert words(ours.rules, value) == words(theirs.field.validators, value), (record, theirs.name)


@pytest.mark.parametrize("record, declared", NESTED)
def test_a_nested_object_has_the_attributes_of_the_provider(record: type[Record], declared: type[Model]) -> None:
    assert described(record) == set(schema_of(declared).attributes)


@pytest.mark.parametrize("block, arguments, fits", COMBINATIONS)
def test_both_judge_combinations_alike(block: type[Block], arguments: dict[str, Any], fits: bool) -> None:
    schema = provider_schema(block.TYPE)
    config: dict[str, Any] = dict.fromkeys(schema.attributes) | arguments
    assert (not [*problems(schema, config)]) == fits
    try:
        block("label", **arguments)
    except InvalidDescriptionError:
        assert not fits
    else:
        assert fits
