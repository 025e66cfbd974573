# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Calls of functions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from terraform_provider_constellation.plugin.errors import ArgumentError
from terraform_provider_constellation.plugin.schema.kinds import dump
from terraform_provider_constellation.plugin.service.diagnostics import diagnosed
from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb
from terraform_provider_constellation.plugin.wire.types import to_bytes
from terraform_provider_constellation.plugin.wire.values import read, write

if TYPE_CHECKING:
    from terraform_provider_constellation.plugin.function import Function, Parameter


def function_message(function: Function) -> pb.Function:
    """The signature."""
    message = pb.Function(
        parameters=[_parameter(parameter) for parameter in function.parameters],
        variadic_parameter=_parameter(function.variadic) if function.variadic else None,
        summary=function.summary,
        description=function.description,
        description_kind=pb.MARKDOWN,
    )
    getattr(message, "return").type = to_bytes(function.result.wire_type)
    return message


async def call(function: Function, request: pb.CallFunction.Request) -> pb.CallFunction.Response:
    """Call it; in a thread, for it may take a while."""
    try:
        parameters = [function.parameter(index) for index in range(len(request.arguments))]
        pairs = zip(parameters, request.arguments, strict=True)
        arguments = [parameter.load(read(message, parameter.kind.wire_type)) for parameter, message in pairs]
        result = dump(function.result, await asyncio.to_thread(function.call, *arguments))
        return pb.CallFunction.Response(result=write(result, function.result.wire_type))
    except ArgumentError as error:
        return pb.CallFunction.Response(error=_error(function, error))
    except Exception as error:  # noqa: BLE001 - the answer is the only way to say it
        texts = (f"{problem.summary}: {problem.detail}".rstrip(": .") for problem in diagnosed(error))
        return pb.CallFunction.Response(error=pb.FunctionError(text="; ".join(texts)))


def _error(function: Function, error: ArgumentError) -> pb.FunctionError:
    names = [parameter.name for parameter in function.parameters]
    names += [function.variadic.name] if function.variadic else []
    if error.argument not in names:
        return pb.FunctionError(text=str(error))
    return pb.FunctionError(text=str(error), function_argument=names.index(error.argument))


def _parameter(parameter: Parameter) -> pb.Function.Parameter:
    return pb.Function.Parameter(
        name=parameter.name,
        type=to_bytes(parameter.kind.wire_type),
        allow_null_value=parameter.nullable,
        description=parameter.description,
        description_kind=pb.MARKDOWN,
    )
