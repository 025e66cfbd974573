# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Whose a token is, by the word of the API server (authentication.k8s.io/v1, TokenReview).

Every caller shows a service-account token that its kubelet projected into its pod, for the audience of this service
alone: a token that a pod shows to somebody else opens nothing here, and ours opens nothing elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from httpx2 import HTTPError
from lightkube.models.authentication_v1 import TokenReviewSpec
from lightkube.resources.authentication_v1 import TokenReview

from constellation_core.names import KEY_SERVICE_AUDIENCE
from constellation_services.keys.outcome import Outcome, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lightkube import AsyncClient
    from lightkube.models.authentication_v1 import TokenReviewStatus

_ACCOUNT: Final = re.compile(r"system:serviceaccount:([a-z0-9.-]+):([a-z0-9.-]+)")
_EXTRA: Final = "authentication.kubernetes.io"
"""Prefix of what the API server itself says of a token; no other authenticator may use it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        account: service account, as namespace/name.
        pod: name of its pod.
        pod_uid: which of the pods that have had this name.
        node: where the pod runs.
    """

    account: str
    pod: str
    pod_uid: str
    node: str


async def review_token(client: AsyncClient, token: str) -> Caller | Refusal:
    """Ask the API server whose a token is, and judge the answer.

    1. The API server says that the token is genuine, not expired, and that the pod it is bound to exists. Stops made-up
       tokens, and those of pods that are gone.
    2. It is for our audience. Stops whoever was shown a token of one of our callers.
    3. It is of a service account. Stops people, nodes and tokens of other issuers.
    4. It is bound to a pod and a node. Stops tokens that were issued by hand and are used anywhere.

    Args:
        client: may create TokenReviews.
        token: as the caller showed it.
    """
    question = TokenReview(spec=TokenReviewSpec(token=token, audiences=[KEY_SERVICE_AUDIENCE]))
    try:
        answer = await client.create(question)
    except HTTPError as error:
        return Refusal(Outcome.UNAVAILABLE, f"the API server cannot say whose the token is: {type(error).__name__}")
    return judge(answer.status)


def judge(status: TokenReviewStatus | None) -> Caller | Refusal:
    """Judge an answer of the API server, as `review_token` says."""
    if status is None or not status.authenticated or status.error:  # 1
        return _unauthenticated("the API server does not accept the token")
    if KEY_SERVICE_AUDIENCE not in (status.audiences or ()):  # 2
        return _unauthenticated(f"the token is not for {KEY_SERVICE_AUDIENCE}")
    user = status.user
    account = _ACCOUNT.fullmatch((user and user.username) or "")
    if account is None:  # 3
        return _unauthenticated("the token is not one of a service account")
    said: Mapping[str, Sequence[str]] = (user and user.extra) or {}
    pod, uid, node = (_only(said.get(f"{_EXTRA}/{name}")) for name in ("pod-name", "pod-uid", "node-name"))
    if not (pod and uid and node):  # 4
        return _unauthenticated("the token is not bound to a pod on a node")
    return Caller("/".join(account.groups()), pod, uid, node)


def _only(values: Sequence[str] | None) -> str:
    return values[0] if values and len(values) == 1 else ""


def _unauthenticated(reason: str) -> Refusal:
    return Refusal(Outcome.UNAUTHENTICATED, reason)
