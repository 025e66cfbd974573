# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A bounded memory of answers that expire."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Answer = TypeVar("_Answer")


class ExpiringAnswers(Generic[_Answer]):
    """Remembers answers for a while; of too many, the oldest are forgotten.

    Args:
        capacity: answers that are remembered.
        clock: seconds, monotonic.
    """

    def __init__(self, capacity: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._clock = clock
        self._answers: OrderedDict[bytes, tuple[_Answer, float]] = OrderedDict()

    def __len__(self) -> int:
        """Count what is remembered."""
        return len(self._answers)

    def get(self, question: bytes) -> _Answer | None:
        """Give the answer to a question; None where there is none, or it expired."""
        found = self._answers.get(question)
        if found is None:
            return None
        answer, until = found
        if self._clock() < until:
            return answer
        del self._answers[question]
        return None

    def put(self, question: bytes, answer: _Answer, seconds: float) -> None:
        """Remember an answer for a number of seconds; for none, it is not remembered."""
        if seconds <= 0:
            return
        self._answers[question] = (answer, self._clock() + seconds)
        self._answers.move_to_end(question)
        if len(self._answers) > self._capacity:
            self._answers.popitem(last=False)
