# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The half of the harness that runs in the guest, a plugin of pytest: runs those tests that the other half asks for.

Tests are collected once. Each runs in a process of its own, forked from the one that has everything imported, so that
it starts at once, and leaves nothing behind in memory. What it leaves in the kernel (mappings, links), its fixtures
undo.

Over the port go lines of JSON. From here, first the list of all tests: `["nodeid", …]`. Then from there, one at a time,
`{"test": nodeid, "limit": seconds}`, and from here `{"reports": […]}`, pytest's own, or `{"failure": "…"}`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
import traceback
from io import BufferedReader, FileIO
from typing import Any, Final

import pytest
from _pytest.runner import runtestprotocol

PORT: Final = "/dev/virtio-ports/constellation"
_CHUNK: Final = 1 << 16


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Serve until the port closes."""
    items = {item.nodeid: item for item in session.items}
    with FileIO(PORT, "r+") as port:
        _send(port, list(items))
        for line in BufferedReader(port):
            request = json.loads(line)
            _send(port, _run_apart(items[request["test"]], request["limit"]))
    return True


def _send(port: FileIO, message: object) -> None:
    rest = memoryview(json.dumps(message).encode() + b"\n")
    while rest:
        rest = rest[port.write(rest) :]


def _run_apart(item: pytest.Item, limit: float) -> dict[str, Any]:
    """Run one test in a process of its own."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        os.close(reader)
        _run_and_exit(item, writer)
    os.close(writer)
    try:
        answer = _read(reader, limit)
    except TimeoutError:
        answer = json.dumps({"failure": f"the test took more than {limit:g} s in the guest"})
    finally:
        os.close(reader)
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
    return json.loads(answer or '{"failure": "the process of the test died in the guest"}')  # type: ignore[no-any-return]


def _run_and_exit(item: pytest.Item, writer: int) -> None:
    os.setsid()
    try:
        hook = item.config.hook
        reports = runtestprotocol(item, log=False, nextitem=None)
        answer: dict[str, Any] = {
            "reports": [hook.pytest_report_to_serializable(config=item.config, report=report) for report in reports]
        }
    except BaseException:  # noqa: BLE001 - whatever it is, this process ends here
        answer = {"failure": traceback.format_exc()}
    with os.fdopen(writer, "wb") as stream:
        stream.write(json.dumps(answer).encode())
    os._exit(0)


def _read(reader: int, limit: float) -> str:
    """Read to the end, which comes when the test's process has closed its side."""
    end = time.monotonic() + limit
    chunks: list[bytes] = []
    while select.select([reader], [], [], max(end - time.monotonic(), 0))[0]:
        chunk = os.read(reader, _CHUNK)
        if not chunk:
            return b"".join(chunks).decode()
        chunks.append(chunk)
    raise TimeoutError
