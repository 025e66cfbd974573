# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""People get certificates of the cluster's SSH authority, and new ones only when they need them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from constellation_core.keys.master_secret import MasterSecret
from constellation_engine.ssh_access import Access, authority_of, certify
from tests.collection.modules.running import run_module

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    MasterSecret.random().create(tmp_path / "secret.json")
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    (tmp_path / "id.pub").write_bytes(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" ada@example\n")
    return {
        "master_secret": str(tmp_path / "secret.json"),
        "path": str(tmp_path / "authority.pub"),
        "user_key": str(tmp_path / "id.pub"),
        "name": "ada",
    }


def test_a_second_run_changes_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    answer = run_module("ssh_authority", **options)
    assert answer["changed"]
    assert (tmp_path / "authority.pub").read_text() == f"{answer['public_key']}\n"
    assert answer["certificate"] == str(tmp_path / "id-cert.pub")
    made = (tmp_path / "id-cert.pub").read_text()
    assert not run_module("ssh_authority", **options)["changed"]
    assert (tmp_path / "id-cert.pub").read_text() == made


def test_check_mode_says_what_would_come_and_makes_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    answer = run_module("ssh_authority", check=True, **options)
    assert answer["changed"]
    assert answer["reason"] == "there is none"
    assert all(one["before"] == "" and one["after"].startswith("ssh-ed25519") for one in answer["diff"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["id.pub", "secret.json"]


def test_one_that_ends_soon_is_made_anew(tmp_path: Path, options: dict[str, Any]) -> None:
    authority = authority_of(MasterSecret.load(tmp_path / "secret.json"))
    access = Access(user_key=(tmp_path / "id.pub").read_text(), name="ada")
    yesterday = datetime.now(UTC) - timedelta(hours=20)
    (tmp_path / "id-cert.pub").write_text(certify(authority, access, at=yesterday))
    answer = run_module("ssh_authority", **options)
    assert answer["reason"] == "it ends soon"
    assert datetime.fromisoformat(answer["valid_until"]) > datetime.now(UTC) + timedelta(hours=23)


def test_the_authority_alone_may_be_asked_for(tmp_path: Path, options: dict[str, Any]) -> None:
    answer = run_module("ssh_authority", master_secret=options["master_secret"])
    assert (answer["changed"], answer["public_key"][:11]) == (False, "ssh-ed25519")
    assert MasterSecret.load(tmp_path / "secret.json").secret.reveal().hex() not in str(answer)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"master_secret": None}, "master_secret"),
        ({"master_secret": "/nowhere"}, "/nowhere"),
        ({"path": "/proc/none/authority.pub"}, "/proc/none/authority.pub"),
        ({"user_key": "/nowhere.pub"}, "Option user_key"),
        ({"name": None}, "name"),
        ({"name": ""}, "name of a person"),
        ({"logins": []}, "login"),
        ({"hours": 0}, "Option hours: expected 1 to 744"),
        ({"hours": 745}, "Option hours: expected 1 to 744"),
        ({"user_key": None, "name": None, "certificate": "x"}, "user_key"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    given = {name: value for name, value in {**options, **changes}.items() if value is not None}
    answer = run_module("ssh_authority", **given)
    assert answer["failed"]
    assert said in answer["msg"]
