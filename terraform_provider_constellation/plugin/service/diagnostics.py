# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Problems and exceptions as Terraform shows them. A traceback goes to the log, never to the user."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from terraform_provider_constellation.plugin.errors import (
    DeferredError,
    PluginError,
    Problem,
    ProviderError,
    StoppedError,
    UnknownValueError,
)
from terraform_provider_constellation.plugin.wire import tfplugin6_pb2 as pb
from terraform_provider_constellation.plugin.wire.paths import Key, Path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from terraform_provider_constellation.plugin.schema.objects import ObjectSchema
    from terraform_provider_constellation.plugin.wire.paths import Step

_LOG: Final = logging.getLogger(__name__)
_BUG: Final = "The provider failed unexpectedly"
_REPORT: Final = "This is a mistake in the provider. With TF_LOG=ERROR its log shows where."


def messages(problems: Iterable[Problem], schema: ObjectSchema | None = None) -> list[pb.Diagnostic]:
    """Problems on the wire.

    Args:
        problems: what to say.
        schema: what their paths lead through, if there is one.
    """
    return [_message(problem, schema) for problem in problems]


def diagnosed(error: BaseException) -> tuple[Problem, ...]:
    """What an exception means to the user."""
    match error:
        case ProviderError():
            return error.problems
        case StoppedError():
            return (Problem("Stopped", _sentences(f"{error}.", error.hint)),)
        case DeferredError():
            return (Problem("This cannot be planned yet", _sentences(f"{error}.", error.hint)),)
        case UnknownValueError():
            hint = "Apply what it comes from first, with -target."
            return (Problem("A value is not known yet", _sentences(f"{error}.", hint)),)
        case PluginError():
            _LOG.error("the provider failed", exc_info=error)
            return (Problem(_BUG, _sentences(f"{error}.", error.hint, _REPORT)),)
        case _:
            _LOG.error("the provider failed", exc_info=error)
            return (Problem(_BUG, _sentences(f"{type(error).__name__}: {error}.", _REPORT)),)


def _sentences(*parts: str) -> str:
    """Parts as sentences: each begins with a capital letter and ends with a full stop."""
    return " ".join(f"{part[0].upper()}{part[1:].rstrip('.')}." for part in parts if part)


def _message(problem: Problem, schema: ObjectSchema | None) -> pb.Diagnostic:
    message = pb.Diagnostic(severity=problem.severity.name, summary=problem.summary, detail=problem.detail)
    path = problem.path
    shown = visible(path, schema) if schema else path
    if shown != path:
        message.detail = f"{path}: {problem.detail}".removesuffix(": ")
    if shown.steps:
        message.attribute.CopyFrom(path_message(shown))
    return message


def path_message(path: Path) -> pb.AttributePath:
    """A path on the wire."""
    return pb.AttributePath(steps=[_step(step) for step in path.steps])


def visible(path: Path, schema: ObjectSchema) -> Path:
    """As much of a path as Terraform finds in a configuration: blocks, an attribute, and one element of that.

    With more it takes an attribute of the same name elsewhere, or none at all.
    """
    for index, step in enumerate(path.steps):
        attribute = schema.attributes.get(step) if type(step) is str else None
        if attribute is None:
            continue
        if attribute.nested is None or not attribute.field.block:
            is_element = index + 1 < len(path.steps) and type(path.steps[index + 1]) is not str
            return Path(path.steps[: index + 1 + is_element])
        schema = attribute.nested
    return path


def _step(step: Step) -> pb.AttributePath.Step:
    if isinstance(step, Key):
        return pb.AttributePath.Step(element_key_string=step)
    if isinstance(step, int):
        return pb.AttributePath.Step(element_key_int=step)
    return pb.AttributePath.Step(attribute_name=step)
