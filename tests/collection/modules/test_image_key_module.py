# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The key that signs images is made once, and another takes its place stage by stage."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest

from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path


def keep(folder: Path, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - as tasks give them
    return run_module("image_key", path=str(folder / "image.key"), public_key=str(folder / "image.pub"), **options)


def test_it_is_made_once(tmp_path: Path) -> None:
    first = keep(tmp_path)
    before = (tmp_path / "image.key").read_bytes()
    assert first["changed"]
    assert stat.S_IMODE((tmp_path / "image.key").stat().st_mode) == 0o600
    assert (tmp_path / "image.pub").read_text() == first["public_keys"]
    again = keep(tmp_path)
    assert (again["changed"], again["stage"], len(again["fingerprints"])) == (False, "steady", 1)
    assert (tmp_path / "image.key").read_bytes() == before


@pytest.mark.parametrize("there", [False, True])
def test_check_mode_says_what_would_come_and_makes_nothing(tmp_path: Path, there: bool) -> None:
    if there:
        keep(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    answer = keep(tmp_path, check=True, stage="introduced")
    assert answer["changed"]
    assert answer["diff"][0]["before"] != answer["diff"][0]["after"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_takes_its_place(tmp_path: Path) -> None:
    old = keep(tmp_path)["fingerprints"]
    both = keep(tmp_path, stage="introduced")["fingerprints"]
    assert both[0] == old[0]
    switched = keep(tmp_path, stage="switched")
    assert switched["fingerprints"] == both[::-1]
    assert not keep(tmp_path, stage="switched")["changed"]
    last = keep(tmp_path, stage="steady")
    assert last["fingerprints"] == both[1:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.key", "image.pub"]
    assert (tmp_path / "image.pub").read_text() == last["public_keys"]


def test_no_private_half_is_said(tmp_path: Path) -> None:
    answer = keep(tmp_path, stage="introduced")
    assert "PRIVATE" not in str(answer)


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({}, "path"),
        ({"path": "/proc/none/image.key"}, "Cannot write"),
        ({"path": "image.key", "stage": "switched"}, "the stage introduced after steady, asked for switched"),
        ({"path": "image.key", "stage": "other"}, "stage"),
        ({"path": "image.key", "public_key": "/proc/none/image.pub"}, "/proc/none/image.pub"),
    ],
)
def test_what_is_wrong_is_named(
    arguments: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = run_module("image_key", **arguments)
    assert answer["failed"]
    assert said in answer["msg"]
