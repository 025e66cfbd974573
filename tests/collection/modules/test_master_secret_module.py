# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A master secret is made once, kept as it is, and shown nowhere."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest

from constellation_core.keys.master_secret import MasterSecret
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path

SECRET, SALT = "ab" * 32, "cd" * 32


def test_it_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    first = run_module("master_secret", path=str(path))
    made = MasterSecret.load(path)
    assert first["changed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not run_module("master_secret", path=str(path))["changed"]
    assert MasterSecret.load(path) == made


def test_check_mode_says_what_would_come_and_makes_nothing(tmp_path: Path) -> None:
    answer = run_module("master_secret", path=str(tmp_path / "secret.json"), check=True)
    assert answer["changed"]
    assert answer["diff"]["before"] != answer["diff"]["after"]
    assert not list(tmp_path.iterdir())


def test_a_given_secret_is_kept_and_not_said(tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    answer = run_module("master_secret", path=str(path), secret=SECRET, salt=SALT)
    assert MasterSecret.load(path).secret.reveal().hex() == SECRET
    assert SECRET not in str({**answer, "invocation": None})
    assert not run_module("master_secret", path=str(path), secret=SECRET, salt=SALT)["changed"]


def test_another_secret_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    MasterSecret.random().create(path)
    answer = run_module("master_secret", path=str(path), secret=SECRET, salt=SALT)
    assert answer["failed"]
    assert "never overwritten" in answer["msg"]
    assert "to rotate it make another cluster" in answer["msg"]
    assert SECRET not in answer["msg"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({}, "path"),
        ({"path": "/nowhere/secret.json"}, "folder"),
        ({"path": "x", "secret": SECRET}, "salt"),
        ({"path": "x", "secret": "short", "salt": SALT}, "secret: expected 64 hex digits"),
        ({"path": "x", "secret": "ab", "salt": SALT}, "32 bytes"),
    ],
)
def test_what_is_wrong_is_named(arguments: dict[str, Any], said: str) -> None:
    answer = run_module("master_secret", **arguments)
    assert answer["failed"]
    assert said in answer["msg"]
