# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Imports of this process wait for one another.

A provider does several things at once, in threads, and each imports what it needs when it needs it. Before CPython 3.15
a thread that imports a package whose `__init__` imports a module of its own, and another that imports that module, take
two locks in opposite order: one of them gets a `_DeadlockError`, or a module that is half there
(https://github.com/python/cpython/issues/83065). With one lock around each import as a whole there is no order.
"""

from __future__ import annotations

import builtins
import importlib
import threading
from functools import wraps
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_TURN: Final = threading.RLock()


def one_at_a_time() -> None:
    """Let imports wait for one another from now on. No thread but ours may run yet. Again, nothing changes."""
    if not hasattr(builtins.__import__, "__wrapped__"):
        builtins.__import__ = _in_turn(builtins.__import__)
        importlib.import_module = _in_turn(importlib.import_module)


def _in_turn(load: Callable[P, T]) -> Callable[P, T]:
    @wraps(load)
    def loaded(*arguments: P.args, **options: P.kwargs) -> T:
        with _TURN:
            return load(*arguments, **options)

    return loaded
