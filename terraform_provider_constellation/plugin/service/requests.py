# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What requests have in common: values of a schema, private state, stored states, what this Terraform can do."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from terraform_provider_constellation.plugin.errors import Problem, ProviderError, WireError
from terraform_provider_constellation.plugin.planning.defaults import with_defaults
from terraform_provider_constellation.plugin.planning.unknowns import unknown_paths
from terraform_provider_constellation.plugin.wire.paths import Path
from terraform_provider_constellation.plugin.wire.values import read, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from terraform_provider_constellation.plugin.schema.model import Model
    from terraform_provider_constellation.plugin.schema.objects import ObjectSchema
    from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb
    from terraform_provider_constellation.plugin.wire.types import Value


def values_of(schema: ObjectSchema, message: pb.DynamicValue) -> dict[str, Value] | None:
    """An object of a request; None if it is null.

    Raises:
        WireError: it is not of this schema, or unknown as a whole.
    """
    values = read(message, schema.type)
    if values is None or isinstance(values, dict):
        return values
    raise WireError("expected an object, got an unknown value")


def config_of(schema: ObjectSchema, message: pb.DynamicValue) -> dict[str, Value]:
    """The configuration of a request; without any attribute if there is none."""
    return values_of(schema, message) or {}


def model_of(schema: ObjectSchema, message: pb.DynamicValue) -> Any:  # noqa: ANN401 - the schema's model
    """A configuration as its model, with defaults."""
    return schema.load(with_defaults(schema, config_of(schema, message)))


def known_message(schema: ObjectSchema, instance: Model) -> pb.DynamicValue:
    """What a data source or an ephemeral resource gave.

    Raises:
        ProviderError: something in it is still unknown.
    """
    values = schema.dump(instance)
    refuse_unknown(values)
    return write(values, schema.type)


def refuse_unknown(values: dict[str, Value]) -> None:
    """See that everything is known.

    Raises:
        ProviderError: something is not.
    """
    for problem in unknown_problems(values):
        raise ProviderError(problem.summary, problem.detail)


def unknown_problems(values: dict[str, Value]) -> Iterator[Problem]:
    """A problem, if something is still unknown that must not be."""
    unknown = ", ".join(map(str, unknown_paths(values, Path())))
    if unknown:
        detail = f"After the operation these values must be known: {unknown}. This is a mistake in the provider."
        yield Problem("The provider left values unknown", detail)


def private_of(data: bytes) -> dict[str, Any]:
    """Private state; nothing, if it is none of ours."""
    try:
        loaded = json.loads(data or b"{}")
    except ValueError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


def private_bytes(private: dict[str, Any]) -> bytes:
    """Private state as Terraform stores it.

    Raises:
        WireError: JSON cannot say it.
    """
    if not private:
        return b""
    try:
        return json.dumps(private, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise WireError(f"private state: expected what JSON can say: {error}") from error


def stored(raw: pb.RawState) -> dict[str, Any]:
    """A stored state, as JSON has it.

    Raises:
        ProviderError: it was written by a Terraform before 0.12, or is no JSON object.
    """
    if raw.flatmap:
        detail = "It was written by Terraform 0.11 or older. Apply it once with Terraform 0.12 and an older provider."
        raise ProviderError("The state is too old", detail)
    try:
        loaded = json.loads(raw.json, parse_float=Decimal)
    except ValueError:
        loaded = None
    if not isinstance(loaded, dict):
        raise ProviderError("The state cannot be read", "Expected a JSON object.")
    return loaded
