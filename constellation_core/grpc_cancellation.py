# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A repair of grpclib: a task that it wakes up by cancelling is not cancelled afterwards.

grpclib cancels tasks that wait on a connection that broke, or on an answer that is late, and raises the real error
in the place of the cancellation. It does not take the cancellation back (`Task.uncancel`, since Python 3.11), so an
`asyncio.timeout` around it, which counts, later ends with `CancelledError` where it should say `TimeoutError`.

Importing this module repairs it; whoever uses grpclib with time limits imports it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from grpclib.utils import Wrapper

if TYPE_CHECKING:
    from types import TracebackType

_LEAVE: Final = Wrapper.__exit__


def _leave(
    wrapper: Wrapper,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
) -> None:
    task = asyncio.current_task()
    if wrapper.cancelled and kind is asyncio.CancelledError and task is not None:
        task.uncancel()
    _LEAVE(wrapper, kind, error, traceback)


Wrapper.__exit__ = _leave  # type: ignore[method-assign]
