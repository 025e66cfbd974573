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
        code = HTTPStatus(error.status.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        kind = _ERRORS.get(code, ClusterError)
        raise kind(f"{what}: {error.status.message or code.phrase}", hint=_HINTS.get(code, "")) from error
    except (httpx2.HTTPError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise ClusterError(f"{what}: the API server does not answer: {reason}", hint="is the cluster up?") from error
