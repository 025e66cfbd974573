# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The role keys: each key is made once, none is ever overwritten or shown, and a run that fails leaves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from constellation_core.keys.master_secret import MasterSecret
from tests.collection.playing import COLLECTION

if TYPE_CHECKING:
    from pathlib import Path

    from tests.collection.playing import Played, Player

ROLE = [{"ansible.builtin.include_role": {"name": "constellation.core.keys"}}]
MADE = ["image.key", "image.pub", "master-secret.json", "ssh-authority.pub"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def keep(play: Player, folder: Path, **options: Any) -> Played:  # noqa: ANN401 - as users give them
    run = {name: options.pop(name) for name in ("check", "diff", "verbosity") if name in options}
    return play(ROLE, variables={"keys_folder": str(folder), **options}, timeout=300, **run)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_second_run_changes_nothing_and_check_mode_predicts(play: Player, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    predicted = keep(play, folder, check=True, diff=True)
    assert predicted.status == 0, predicted.text
    assert not folder.exists()
    assert predicted.changed["localhost"] >= 3
    first = keep(play, folder)
    assert first.status == 0, first.text
    assert names(folder) == MADE
    assert folder.stat().st_mode & 0o777 == 0o700
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for options in ({}, {"check": True}):
        assert keep(play, folder, **options).changed == {"localhost": 0}
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_another_secret_is_refused_and_none_is_shown(play: Player, tmp_path: Path) -> None:
    secret, other, salt = "ab" * 32, "ef" * 32, "cd" * 32
    first = keep(play, tmp_path, keys_secret=secret, keys_salt=salt, verbosity=3, diff=True)
    assert first.status == 0, first.text
    second = keep(play, tmp_path, keys_secret=other, keys_salt=salt, verbosity=3, diff=True)
    assert second.failed == {"localhost": 1}
    assert "never overwritten" in second.text
    assert "to rotate it make another cluster" in second.text.replace("\n", " ")
    assert MasterSecret.load(tmp_path / "master-secret.json").secret.reveal().hex() == secret
    for text in (first.text, second.text):
        assert secret not in text
        assert other not in text
        assert "PRIVATE KEY" not in text


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_that_fails_leaves_nothing(play: Player, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    played = keep(play, folder, keys_escrow_recipients={"ada": "nonsense"})
    assert played.failed == {"localhost": 1}
    assert not folder.exists()
    (tmp_path / "there").mkdir()
    MasterSecret.random().create(tmp_path / "there" / "master-secret.json")
    keep(play, tmp_path / "there", keys_image_key_stage="switched")
    assert names(tmp_path / "there") == ["master-secret.json"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_escrow_has_the_key_that_comes(play: Player, tmp_path: Path) -> None:
    age: Any = pytest.importorskip("pyrage", reason="pip install 'constellation-kubernetes[escrow]'")
    recipients = {"ada": str(age.x25519.Identity.generate().to_public())}
    played = keep(play, tmp_path, keys_escrow_recipients=recipients, keys_image_key_stage="introduced")
    assert played.status == 0, played.text
    assert yaml.safe_load((tmp_path / "keys.age.json").read_text())["files"].keys() == {
        "image.key",
        "image.key.next",
        "master-secret.json",
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_provider_that_cannot_be_is_told_before_anything_is_made(play: Player, tmp_path: Path) -> None:
    played = keep(play, tmp_path / "keys", keys_provider="vault://somewhere")
    assert "not supported yet" in played.text
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("role", ["keys", "image"])
def test_defaults_are_those_that_are_documented(role: str) -> None:
    folder = COLLECTION / "roles" / role
    given = yaml.safe_load((folder / "defaults" / "main.yml").read_text())
    options = yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert given == {name: one["default"] for name, one in options.items() if "default" in one}
    assert all(name.startswith(f"{role}_") for name in options)
