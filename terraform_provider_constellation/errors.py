# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in the engine, as Terraform tells it.

The provider raises nothing of its own but the framework's ProviderError and ArgumentError. Errors of the engine, of
`constellation_core` and of `attestation` have one sentence and a hint: these become the detail.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from terraform_provider_constellation.plugin.api import ArgumentError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator


def detail_of(error: Exception) -> str:
    """Give what an error says, and its hint, as sentences; names and commands stay as they are written."""
    message, hint = str(error), getattr(error, "hint", "")
    if re.match("[a-z]+ ", message):
        message = f"{message[0].upper()}{message[1:]}"
    return _sentence(message) + (f" Hint: {_sentence(hint)}" if hint else "")


def is_told(error: Exception) -> bool:
    """Whether an error is one that the user can do something about, and no mistake of ours."""
    # Whoever gets here has loaded them already.
    from attestation.errors import AttestationError  # noqa: PLC0415
    from constellation_core.errors import CoreError  # noqa: PLC0415
    from constellation_engine.errors import EngineError  # noqa: PLC0415

    return isinstance(error, AttestationError | CoreError | EngineError)


@contextmanager
def telling(summary: str, *, at: str = "") -> Iterator[None]:
    """Tell the user what an operation of the engine says when it fails; any other exception is a mistake of ours.

    Args:
        summary: what did not work, without a full stop.
        at: the attribute that it is about.

    Raises:
        ProviderError: the engine, the core or the verifier refused.
    """
    try:
        yield
    except Exception as error:
        if not is_told(error):
            raise
        raise ProviderError(summary, detail_of(error), at=at) from error


@contextmanager
def blaming(argument: str) -> Iterator[None]:
    """Say of which argument of a function an error is.

    Args:
        argument: name of the parameter; nothing if several together are wrong.

    Raises:
        ArgumentError: the engine, the core or the verifier refused.
    """
    try:
        yield
    except Exception as error:
        if not is_told(error):
            raise
        raise ArgumentError(argument, detail_of(error)) from error


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
