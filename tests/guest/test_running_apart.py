# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A test that fails, hangs or dies in the guest is reported, and ends nobody else (tried here, without a guest)."""

from __future__ import annotations

import pytest

from tests.guest.inside import _run_apart
from tests.guest.machine import GuestError, NoGuest

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def without_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave pytest within pytest alone."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def outcomes(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [report["outcome"] for report in answer["reports"]]


def test_what_passes_passes(pytester: pytest.Pytester) -> None:
    assert outcomes(_run_apart(pytester.getitem("def test_func(): pass"), 30)) == ["passed"] * 3


def test_what_a_failed_test_said_is_shown(pytester: pytest.Pytester) -> None:
    answer = _run_apart(pytester.getitem("def test_func(): assert 1 == 2, 'what it said'"), 30)
    assert outcomes(answer) == ["passed", "failed", "passed"]
    assert "what it said" in str(answer)


def test_what_hangs_is_ended(pytester: pytest.Pytester) -> None:
    item = pytester.getitem("import threading\ndef test_func(): threading.Event().wait()")
    assert _run_apart(item, 0.1) == {"failure": "the test took more than 0.1 s in the guest"}


def test_what_dies_is_reported(pytester: pytest.Pytester) -> None:
    answer = _run_apart(pytester.getitem("import os\ndef test_func(): os.abort()"), 30)
    assert answer == {"failure": "the process of the test died in the guest"}


def test_without_a_guest_a_test_fails_and_says_why() -> None:
    with pytest.raises(GuestError, match="there is no guest: no network"):
        NoGuest(OSError("no network")).run("test", 1)
