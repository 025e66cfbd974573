# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What errors do to loops."""

from __future__ import annotations

import asyncio

import pytest

from attestation.errors import DeviceError
from constellation_core.errors import ConfigError
from node_agent import loops
from node_agent.errors import PermanentError, TemporaryError
from node_agent.loops import background, foreign_errors, insist, words


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "FIRST_PAUSE", 0.001)


class Part:
    """Fails with these errors, and works then."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def call(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.calls


async def test_a_temporary_error_is_tried_again() -> None:
    said: list[str] = []
    part = Part(TemporaryError("one", hint="wait"), TemporaryError("one"), TemporaryError("two"))
    assert await insist(part.call, patience=5, report=said.append) == 4
    assert said == ["one (wait)", "two"]


async def test_a_permanent_error_is_the_end() -> None:
    part = Part(PermanentError("never"))
    with pytest.raises(PermanentError, match="never"):
        await insist(part.call, patience=5)
    assert part.calls == 1


async def test_patience_ends() -> None:
    part = Part(*[TemporaryError("not yet", hint="wait")] * 1000)
    with pytest.raises(PermanentError, match="not yet") as error:
        await insist(part.call, patience=0.05)
    assert error.value.hint == "wait"


async def test_who_wants_to_be_left_alone_for_longer_than_that_is_not_asked_again() -> None:
    part = Part(TemporaryError("later", delay=60))
    with pytest.raises(PermanentError, match="later"):
        await insist(part.call, patience=5)
    assert part.calls == 1


@pytest.mark.parametrize("error", [DeviceError("x", hint="y"), ConfigError("x", hint="y")])
def test_errors_of_others_are_permanent(error: Exception) -> None:
    with pytest.raises(PermanentError, match="the disk: x") as found, foreign_errors("the disk"):
        raise error
    assert words(found.value) == "the disk: x (y)"


def test_errors_of_the_system_are_permanent() -> None:
    with pytest.raises(PermanentError, match="the disk: "), foreign_errors("the disk"):
        raise OSError(5, "Input/output error")


async def test_what_runs_in_the_background_ends_with_its_block() -> None:
    async with background(asyncio.sleep(60)) as task:
        pass
    assert task.cancelled()
