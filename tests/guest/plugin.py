# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Tests that need a kernel of their own: `@pytest.mark.guest`.

    @pytest.mark.guest
    def test_device_mapper_is_there() -> None:
        assert Path("/dev/mapper/control").exists()

Such a test is written like any other. It runs, with its fixtures, as root inside an emulated machine that has Debian's
cloud kernel, as nodes have it: with device-mapper, WireGuard, nf_tables and nothing to lose. One machine serves all
tests of a run; each test is a process there. Its time limit (`@pytest.mark.timeout`) counts inside, without the boot.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.guest.machine import Guest, NoGuest

INSIDE: Final = "tests.guest.inside"
"""The other half of the harness: where that is loaded, this half has nothing to do."""
QEMU: Final = "qemu-system-x86_64"

TIME_LIMIT: Final = 180.0
"""Seconds for a test that has no mark `timeout`: emulation is slow, and slower when others work."""

_GUEST: Final = pytest.StashKey["Guest | NoGuest"]()
_LIMIT: Final = pytest.StashKey[float]()
_GRACE: Final = 5.0  # seconds in which pytest-timeout, inside, ends a test with a better message than ours


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark."""
    config.addinivalue_line("markers", "guest: runs inside an emulated machine (tests/guest)")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to boot as soon as it is clear that a test needs it."""
    config = session.config
    items = [item for item in session.items if item.get_closest_marker("guest")]
    if not items or config.option.collectonly or config.pluginmanager.hasplugin(INSIDE):
        return
    if shutil.which(QEMU) is None:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"{QEMU} is not installed (Debian: qemu-system-x86)"))
        return
    from tests.guest.machine import Guest, NoGuest  # noqa: PLC0415 - not in the guest, and most runs do not need it

    for item in items:
        item.stash[_LIMIT] = _limit(item)
        item.add_marker(pytest.mark.timeout(0), append=False)  # pytest-timeout counts inside

    try:
        config.stash[_GUEST] = Guest({item.path for item in items}, lambda line: print(line, file=sys.stderr))  # noqa: T201
    except Exception as error:  # noqa: BLE001 - no network, no uv, a dropped package: other tests run
        config.stash[_GUEST] = NoGuest(error)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the guest."""
    if guest := config.stash.get(_GUEST, None):
        guest.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test in the guest, and report as if it had run here."""
    guest = item.config.stash.get(_GUEST, None)
    if guest is None or item.get_closest_marker("guest") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item, guest):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    item.session._setupstate.teardown_exact(nextitem)  # what only tests before this one needed
    return True


def _reports(item: pytest.Item, guest: Guest | NoGuest) -> list[pytest.TestReport]:
    from tests.guest.machine import GuestError  # noqa: PLC0415 - as above

    try:
        answer = guest.run(item.nodeid, item.stash[_LIMIT] + _GRACE)
    except GuestError as error:
        answer = {"failure": str(error)}
    if "failure" in answer:
        return [pytest.TestReport(item.nodeid, item.location, {}, "failed", answer["failure"], "call")]
    hook = item.config.hook
    return [hook.pytest_report_from_serializable(config=item.config, data=data) for data in answer["reports"]]


def _limit(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark else TIME_LIMIT
