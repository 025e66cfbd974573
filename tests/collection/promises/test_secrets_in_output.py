# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""No secret is in what a run writes, however much it is asked to write, and none is in a fact or a file for others."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest

from constellation_core.keys.master_secret import MasterSecret

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collection.playing import Player

SECRET, SALT = "5e" * 32, "cd" * 32


def keep(path: Path, **options: str) -> dict[str, Any]:
    return {"constellation.core.master_secret": {"path": str(path), **options}, "register": "kept"}


SHOW: dict[str, Any] = {"ansible.builtin.debug": {"var": "kept"}}


@pytest.mark.parametrize("check", [True, False])
def test_a_secret_that_is_given_is_not_written(play: Player, tmp_path: Path, check: bool) -> None:
    path = tmp_path / "secret.json"
    tasks = [keep(path, secret="{{ secret }}", salt=SALT), SHOW]
    played = play(tasks, variables={"secret": SECRET}, verbosity=4, diff=True, check=check)
    assert played.failed == {"localhost": 0}
    assert SECRET not in played.text
    assert path.exists() is not check


def test_a_secret_that_is_made_is_not_written(play: Player, tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    played = play([keep(path), SHOW], verbosity=4, diff=True)
    assert MasterSecret.load(path).secret.reveal().hex() not in played.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_secret_that_is_refused_is_not_written(play: Player, tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    MasterSecret.random().create(path)
    there = MasterSecret.load(path).secret.reveal().hex()
    played = play([keep(path, secret=SECRET, salt=SALT)], verbosity=4, diff=True)
    assert played.failed == {"localhost": 1}
    assert "never overwritten" in played.text
    assert there not in played.text


def test_keys_that_are_made_certified_with_and_escrowed_are_not_written(play: Player, tmp_path: Path) -> None:
    age: Any = pytest.importorskip("pyrage", reason="pip install 'constellation-kubernetes[escrow]'")
    reader = str(age.x25519.Identity.generate().to_public())
    secret, key = tmp_path / "secret.json", tmp_path / "image.key"
    escrow = {"path": str(tmp_path / "keys.age"), "files": [str(secret), str(key)], "recipients": {"ada": reader}}
    tasks = [
        keep(secret),
        {"constellation.core.image_key": {"path": str(key)}, "register": "made"},
        {"constellation.core.image_key": {"path": str(key), "stage": "introduced"}, "register": "next"},
        {"constellation.core.ssh_authority": {"master_secret": str(secret), "path": str(tmp_path / "authority.pub")}},
        {"constellation.core.key_escrow": escrow},
        {"ansible.builtin.debug": {"var": "vars"}},
    ]
    played = play(tasks, verbosity=4, diff=True)
    assert played.changed == {"localhost": 5}, played.text
    private = [line for path in tmp_path.glob("image.key*") for line in path.read_text().splitlines()[1:-1]]
    assert len(private) >= 2
    hidden = [MasterSecret.load(secret).secret.reveal().hex(), *private]
    assert not [one for one in hidden if one in played.text]
