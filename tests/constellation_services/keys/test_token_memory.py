# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is remembered of tokens, for how long, and how often strangers may make us ask the API server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.names import KEY_SERVICE_AUDIENCE
from constellation_services.errors import KeyRefusedError
from constellation_services.keys.authentication import REVIEWS, Authentication, expiry
from constellation_services.keys.expiring import ExpiringAnswers
from constellation_services.keys.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightkube import AsyncClient

    from constellation_engine.testing.control_plane import ControlPlane

    Tokens = Callable[[str], str]

HERE = "ipv4:10.0.0.1"


class Watched:
    """Authentication beside a real API server; it counts reviews, and its time is ours."""

    def __init__(self, client: AsyncClient) -> None:
        self.client: Any = client
        self.now, self.today, self.reviews = 1000.0, time.time(), 0
        self.authentication = Authentication(self, clock=lambda: self.now, today=lambda: self.today)  # type: ignore[arg-type]

    async def create(self, review: object) -> object:
        self.reviews += 1
        return await self.client.create(review)

    async def ask(self, token: str, address: str = HERE) -> str:
        return (await self.authentication.caller(f"Bearer {token}", address)).account

    async def refuse(self, token: str, address: str = HERE) -> Outcome:
        with pytest.raises(KeyRefusedError) as caught:
            await self.ask(token, address)
        return caught.value.refusal.outcome


@pytest.fixture
def watched(api: AsyncClient) -> Watched:
    return Watched(api)


def garbage(number: int) -> str:
    return f"a.b.{number}"


async def test_a_caller_is_known_by_its_token(watched: Watched, token_of: Tokens) -> None:
    caller = await watched.authentication.caller(f"Bearer {token_of('csi-node')}", HERE)
    assert (caller.account, caller.pod, caller.node) == ("constellation-system/csi-node", "csi-node-0", "node-0")
    assert len(caller.pod_uid) == 36


async def test_a_yes_is_remembered_for_a_minute(watched: Watched, token_of: Tokens) -> None:
    token = token_of("join-service")
    for later, reviews in ((0, 1), (59, 1), (1, 2)):
        watched.now += later
        assert await watched.ask(token) == "constellation-system/join-service"
        assert watched.reviews == reviews


async def test_a_yes_is_not_remembered_longer_than_the_token_lives(watched: Watched, token_of: Tokens) -> None:
    token = token_of("join-service")
    watched.today = expiry(token) - 10
    for later, reviews in ((0, 1), (9, 1), (1.5, 2)):
        watched.now += later
        await watched.ask(token)
        assert watched.reviews == reviews


async def test_a_yes_for_a_token_that_seems_to_be_over_is_not_remembered(watched: Watched, token_of: Tokens) -> None:
    token = token_of("join-service")
    watched.today = expiry(token)
    await watched.ask(token)
    await watched.ask(token)
    assert watched.reviews == 2


async def test_a_no_is_remembered_for_five_seconds(watched: Watched) -> None:
    for later, reviews in ((0, 1), (4, 1), (1, 2)):
        watched.now += later
        assert await watched.refuse("a.b.c") is Outcome.UNAUTHENTICATED
        assert watched.reviews == reviews


async def test_many_who_show_a_new_token_ask_once(watched: Watched, token_of: Tokens) -> None:
    token = token_of("join-service")
    accounts = await asyncio.gather(*(watched.ask(token) for _ in range(500)))
    assert set(accounts) == {"constellation-system/join-service"}
    assert watched.reviews == 1


async def test_who_does_not_wait_does_not_spoil_it_for_others(watched: Watched, token_of: Tokens) -> None:
    token = token_of("join-service")
    first, second = asyncio.create_task(watched.ask(token)), asyncio.create_task(watched.ask(token))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "constellation-system/join-service"
    assert (first.cancelled(), watched.reviews) == (True, 1)


async def test_strangers_make_us_ask_so_often_only(watched: Watched, token_of: Tokens) -> None:
    for number in range(REVIEWS.burst):
        assert await watched.refuse(garbage(number)) is Outcome.UNAUTHENTICATED
    assert await watched.refuse(garbage(-1)) is Outcome.LIMITED
    assert watched.reviews == REVIEWS.burst
    assert await watched.ask(token_of("join-service"), "ipv4:10.0.0.2") == "constellation-system/join-service"
    watched.now += 1 / REVIEWS.per_second
    assert await watched.refuse(garbage(-2)) is Outcome.UNAUTHENTICATED


async def test_a_known_token_is_known_while_strangers_are_limited(watched: Watched, token_of: Tokens) -> None:
    token = token_of("join-service")
    await watched.ask(token)
    for number in range(REVIEWS.burst):
        await watched.refuse(garbage(number))
    assert await watched.ask(token) == "constellation-system/join-service"


async def test_an_api_server_that_is_away_is_asked_again(control_plane: ControlPlane) -> None:
    kubeconfig = control_plane.kubeconfig("away")
    kubeconfig.write_text(kubeconfig.read_text().replace(control_plane.url, "https://127.0.0.1:1"))
    async with control_plane.async_client(kubeconfig) as client:
        watched = Watched(client)
        assert await watched.refuse("a.b.c") is Outcome.UNAVAILABLE
        assert await watched.refuse("a.b.c") is Outcome.UNAVAILABLE
    assert watched.reviews == 2


async def test_a_service_that_may_not_review_tokens_accepts_nobody(control_plane: ControlPlane) -> None:
    token = control_plane.token("join-service", KEY_SERVICE_AUDIENCE, pod="join-0", node="node-0")
    async with control_plane.async_client(control_plane.kubeconfig("nobody")) as client:
        assert await Watched(client).refuse(token) is Outcome.UNAVAILABLE


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "bearer a.b.c", "Basic a.b.c", "a.b.c", "Bearer a.b", "Bearer a.b.c.d", "Bearer a.b.c\n"],
)
async def test_what_is_no_token_is_refused_without_asking(watched: Watched, header: str) -> None:
    with pytest.raises(KeyRefusedError) as caught:
        await watched.authentication.caller(header, HERE)
    assert (caught.value.refusal.outcome, watched.reviews) == (Outcome.UNAUTHENTICATED, 0)


async def test_a_token_without_end_is_refused_without_asking(watched: Watched) -> None:
    assert await watched.refuse(f"a.b.{'c' * 8192}") is Outcome.UNAUTHENTICATED
    assert watched.reviews == 0


def test_a_token_says_when_it_expires(token_of: Tokens) -> None:
    assert time.time() < expiry(token_of("join-service")) <= time.time() + 601


CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(st.text(CHARACTERS, min_size=1, max_size=200))
def test_any_claims_are_read_or_say_nothing(payload: str) -> None:
    assert expiry(f"a.{payload}.c") >= 0


@pytest.mark.parametrize(
    "payload",
    [
        "e30",  # {}
        "eyJleHAiOiAiMTIzIn0",  # {"exp": "123"}
        "eyJleHAiOiAtMX0",  # {"exp": -1}
        "eyJleHAiOiB0cnVlfQ",  # {"exp": true}
        "eyJleHAiOiAxZTk5OX0",  # {"exp": 1e999}
        "eyJleHAiOiA5MDA3MTk5MjU0NzQwOTkyfQ",  # {"exp": 2**53}
        "eyJleHAiOiAxLCAiZXhwIjogMn0",  # {"exp": 1, "exp": 2}
        "W10",  # []
        "A",
    ],
)
def test_claims_without_a_time_say_nothing(payload: str) -> None:
    assert expiry(f"a.{payload}.c") == 0


def test_of_too_many_answers_the_oldest_are_forgotten() -> None:
    answers: ExpiringAnswers[int] = ExpiringAnswers(3, clock=lambda: 0.0)
    for number in range(10):
        answers.put(b"%d" % number, number, 1)
    assert [answers.get(b"%d" % number) for number in range(10)] == [None] * 7 + [7, 8, 9]
    assert len(answers) == 3


@pytest.mark.parametrize("seconds", [0, -1])
def test_an_answer_for_no_time_is_not_remembered(seconds: float) -> None:
    answers: ExpiringAnswers[int] = ExpiringAnswers(3)
    answers.put(b"question", 1, seconds)
    assert len(answers) == 0
