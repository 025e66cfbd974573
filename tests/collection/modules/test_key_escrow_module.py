# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Keys are encrypted for those who are named, and again only where something changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from constellation_core.keys.master_secret import MasterSecret
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path

age: Any = pytest.importorskip("pyrage", reason="pip install 'constellation-kubernetes[escrow]'")
ADA, BOB = (str(age.x25519.Identity.generate().to_public()) for _ in range(2))


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    MasterSecret.random().create(tmp_path / "master-secret.json")
    files = [str(tmp_path / "master-secret.json")]
    return {"path": str(tmp_path / "keys.age"), "files": files, "recipients": {"ada": ADA}}


def test_a_second_run_changes_nothing(options: dict[str, Any]) -> None:
    assert run_module("key_escrow", **options)["changed"]
    assert not run_module("key_escrow", **options)["changed"]


def test_check_mode_says_what_would_come_and_writes_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    answer = run_module("key_escrow", check=True, **options)
    assert answer["changed"]
    assert answer["diff"]["before"] == "absent\n"
    assert f"recipient ada {ADA}" in answer["diff"]["after"]
    assert [path.name for path in tmp_path.iterdir()] == ["master-secret.json"]


def test_another_recipient_is_a_change(options: dict[str, Any]) -> None:
    run_module("key_escrow", **options)
    answer = run_module("key_escrow", **{**options, "recipients": {"ada": ADA, "bob": BOB}})
    assert answer["reasons"] == ["recipient bob"]
    assert answer["recipients"] == ["ada", "bob"]


def test_no_secret_is_said(tmp_path: Path, options: dict[str, Any]) -> None:
    secret = MasterSecret.load(tmp_path / "master-secret.json").secret.reveal().hex()
    assert secret not in str(run_module("key_escrow", **options))


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"path": None}, "path"),
        ({"path": "/proc/none/keys.age"}, "/proc/none/keys.age"),
        ({"files": []}, "expected 1 to 64 files"),
        ({"files": ["/nowhere"]}, "/nowhere"),
        ({"recipients": {}}, "recipients"),
        ({"recipients": {"ada": "nonsense"}}, "Recipient ada"),
        ({"recipients": {"ada": 7}}, "Option recipients"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    given = {name: value for name, value in {**options, **changes}.items() if value is not None}
    answer = run_module("key_escrow", **given)
    assert answer["failed"]
    assert said in answer["msg"]
