# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Health, readiness with the last words of each condition, and metrics."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from constellation_core.conditions import Condition
from constellation_services import status
from constellation_services.status import status_server


async def get(port: int, path: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await (answer.json() if answer.content_type == "application/json" else answer.text())


async def asked(path: str, *ready: Condition, alive: tuple[Condition, ...] = ()) -> tuple[int, Any]:
    async with status_server("127.0.0.1", 0, CollectorRegistry(), ready, alive=alive) as port:
        return await get(port, path)


async def test_a_service_that_answers_is_alive() -> None:
    assert await asked("/healthz") == (200, {"alive": True, "conditions": {}})


async def test_what_stopped_makes_it_not_alive() -> None:
    stopped = Condition("the watch goes on", lambda: "silent for 90 s")
    code, said = await asked("/healthz", alive=(stopped,))
    assert (code, said) == (503, {"alive": False, "conditions": {"the watch goes on": "silent for 90 s"}})


async def test_readiness_has_every_condition_with_its_words() -> None:
    code, said = await asked("/readyz", Condition("one", lambda: None), Condition("two", lambda: "not yet"))
    assert (code, said) == (503, {"ready": False, "conditions": {"one": None, "two": "not yet"}})


async def test_all_true_is_ready() -> None:
    assert (await asked("/readyz", Condition("one", lambda: None)))[0] == 200


async def test_conditions_may_take_their_time_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "CHECK_TIMEOUT", 0.02)

    async def hang() -> str | None:
        await asyncio.Event().wait()
        return None

    code, said = await asked("/readyz", Condition("it answers", hang))
    assert (code, said["conditions"]) == (503, {"it answers": "no answer within 0.02 s"})


async def test_an_error_that_means_not_yet_is_words() -> None:
    def fail() -> str | None:
        raise ConnectionRefusedError("nobody there")

    _, said = await asked("/readyz", Condition("it answers", fail, (OSError,)))
    assert said["conditions"] == {"it answers": "nobody there"}


async def test_metrics_are_those_of_this_service_and_its_process() -> None:
    registry = CollectorRegistry()
    Counter("tests_things", "Things.", registry=registry).inc(3)
    async with status_server("127.0.0.1", 0, registry, ()) as port:
        _, text = await get(port, "/metrics")
    assert "tests_things_total 3.0" in text
    assert "process_resident_memory_bytes" in text


async def test_a_block_of_the_event_loop_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "BEAT", 0.005)

    async def lag(port: int) -> float:
        _, metrics = await get(port, "/metrics")
        return float(re.findall(r"^constellation_event_loop_lag_seconds (\S+)$", metrics, re.MULTILINE)[0])

    async with status_server("127.0.0.1", 0, CollectorRegistry(), ()) as port:
        await asyncio.sleep(0.01)
        time.sleep(0.2)  # noqa: ASYNC251 - it is what must be seen
        await asyncio.sleep(0.01)
        assert await lag(port) > 0.1


async def test_two_services_in_one_process_do_not_mix() -> None:
    async with (
        status_server("127.0.0.1", 0, CollectorRegistry(), ()) as one,
        status_server("127.0.0.1", 0, CollectorRegistry(), ()) as two,
    ):
        assert one != two


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with status_server("127.0.0.1", 0, CollectorRegistry(), ()) as port:
        with pytest.raises(OSError, match="in use"):
            await status_server("127.0.0.1", port, CollectorRegistry(), ()).__aenter__()
