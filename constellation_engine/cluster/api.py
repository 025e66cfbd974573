# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Asking the cluster's API server: its refusals as our errors, each with what to do next."""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import httpx2
from lightkube import ApiError

from constellation_engine.errors import ClusterError, ConflictError, ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HINTS: Final = {
    HTTPStatus.UNAUTHORIZED: "is the kubeconfig the one of this cluster?",
    HTTPStatus.FORBIDDEN: "use the administrator's kubeconfig",
    HTTPStatus.NOT_FOUND: "does the name exist, and is this the right cluster?",
    HTTPStatus.CONFLICT: "read it again, then repeat the change",
}
_ERRORS: Final = {HTTPStatus.NOT_FOUND: ObjectNotFoundError, HTTPStatus.CONFLICT: ConflictError}


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn what goes wrong between us and the API server into our errors.

    Args:
        what: what is done, for people: "read ConfigMap join-config".

    Raises:
        ObjectNotFoundError: there is no such object.
        ConflictError: it was changed meanwhile, or is there already.
        ClusterError: any other refusal, or no answer.
    """
    try:
        yield
    except ApiError as error:
        raise _refused(what, error.status.code, error.status.message) from error
    except httpx2.HTTPStatusError as error:  # an answer in plain words: of a kind of object that is not known there
        raise _refused(what, error.response.status_code, None) from error
    except (httpx2.HTTPError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise ClusterError(f"{what}: the API server does not answer: {reason}", hint=_why(error)) from error


def _refused(what: str, status: int | None, message: str | None) -> ClusterError:
    try:
        code = HTTPStatus(status or HTTPStatus.INTERNAL_SERVER_ERROR)
    except ValueError:  # not one that HTTP knows
        code = HTTPStatus.INTERNAL_SERVER_ERROR
    kind = _ERRORS.get(code, ClusterError)
    return kind(f"{what}: {message or code.phrase}", hint=_HINTS.get(code, ""))


def _why(error: Exception) -> str:
    if "certificate" in str(error).lower():
        return "is the kubeconfig the one of this cluster?"
    return "is the cluster up?"
