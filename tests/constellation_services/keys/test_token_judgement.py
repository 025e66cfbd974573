# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An answer of the API server names a caller only if every part of it is there."""

from __future__ import annotations

from typing import Any

import pytest
from lightkube.models.authentication_v1 import TokenReviewStatus, UserInfo

from constellation_services.keys.outcome import Outcome, Refusal
from constellation_services.keys.token_review import Caller, judge

POD = "authentication.kubernetes.io/pod-name"
UID = "authentication.kubernetes.io/pod-uid"
NODE = "authentication.kubernetes.io/node-name"
EXTRA = {POD: ["join-0"], UID: ["66a2be7e"], NODE: ["node-0"]}
ACCOUNT = "system:serviceaccount:constellation-system:join-service"


def user(username: str | None = ACCOUNT, extra: dict[str, list[str]] | None = None) -> UserInfo:
    return UserInfo(username=username, extra={**EXTRA, **(extra or {})})


def answer(**changes: Any) -> TokenReviewStatus:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {"authenticated": True, "audiences": ["constellation-keys"], "user": user()}
    return TokenReviewStatus(**fields | changes)


def test_a_whole_answer_names_the_caller() -> None:
    assert judge(answer()) == Caller("constellation-system/join-service", "join-0", "66a2be7e", "node-0")


def test_one_of_several_audiences_may_be_ours() -> None:
    assert isinstance(judge(answer(audiences=["other", "constellation-keys"])), Caller)


@pytest.mark.parametrize(
    "changes",
    [
        {"authenticated": False},
        {"authenticated": None},
        {"error": "the token is expired"},
        {"audiences": None},
        {"audiences": []},
        {"audiences": ["constellation-keys-2"]},
        {"user": None},
        {"user": user(None)},
        {"user": user("")},
        {"user": user("join-service")},
        {"user": user("system:node:node-0")},
        {"user": user("system:serviceaccount:join-service")},
        {"user": user(f"x{ACCOUNT}")},
        {"user": user(f"{ACCOUNT}:x")},
        {"user": user(f"{ACCOUNT}/x")},
        {"user": user(f"{ACCOUNT}\n")},
        {"user": UserInfo(username=ACCOUNT)},
        *({"user": user(extra={name: value})} for name in EXTRA for value in ([], [""], ["a", "b"])),
    ],
)
def test_an_answer_with_less_names_nobody(changes: dict[str, Any]) -> None:
    found = judge(answer(**changes))
    assert isinstance(found, Refusal)
    assert found.outcome is Outcome.UNAUTHENTICATED


def test_no_answer_names_nobody() -> None:
    assert isinstance(judge(None), Refusal)
