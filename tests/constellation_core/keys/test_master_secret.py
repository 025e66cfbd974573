# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The file of a master secret: written once, read exactly, or refused without showing what is in it."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constellation_core.errors import SecretFileError
from constellation_core.keys.master_secret import MasterSecret, _parse
from constellation_core.keys.secret import Secret
from constellation_core.keys.secret_file import read_secret_file

if TYPE_CHECKING:
    from pathlib import Path

SECRET, SALT = "a5" * 32, "5a" * 32
GOOD = {"version": 1, "secret": SECRET, "salt": SALT}


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_one_that_was_created_is_loaded(tmp_path: Path) -> None:
    master = MasterSecret.random()
    master.create(tmp_path / "master.json")
    assert MasterSecret.load(tmp_path / "master.json") == master


def test_the_format_of_the_file_is_fixed(tmp_path: Path) -> None:
    MasterSecret(Secret(bytes.fromhex(SECRET)), bytes.fromhex(SALT)).create(tmp_path / "master.json")
    assert read_secret_file(tmp_path / "master.json").reveal() == json.dumps(GOOD).encode() + b"\n"


def test_two_random_ones_share_nothing() -> None:
    one, other = MasterSecret.random(), MasterSecret.random()
    assert one.secret != other.secret
    assert one.salt != other.salt


def test_a_second_one_does_not_take_the_place_of_the_first(tmp_path: Path) -> None:
    first = MasterSecret.random()
    first.create(tmp_path / "master.json")
    with pytest.raises(SecretFileError, match="never overwritten"):
        MasterSecret.random().create(tmp_path / "master.json")
    assert MasterSecret.load(tmp_path / "master.json") == first


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 10_000,
        json.dumps(GOOD).encode()[:-2],
        json.dumps(GOOD).encode() * 2,
        json.dumps(GOOD | {"version": 2}).encode(),
        json.dumps(GOOD | {"version": True}).encode(),
        json.dumps(GOOD | {"version": 1.0}).encode(),
        json.dumps(GOOD | {"version": "1"}).encode(),
        json.dumps(GOOD | {"other": 1}).encode(),
        json.dumps({"version": 1, "secret": SECRET}).encode(),
        json.dumps({"secret": SECRET, "salt": SALT}).encode(),
        json.dumps(GOOD | {"secret": SECRET[:-2]}).encode(),
        json.dumps(GOOD | {"secret": SECRET + "00"}).encode(),
        json.dumps(GOOD | {"secret": SECRET.upper()}).encode(),
        json.dumps(GOOD | {"secret": SECRET[:-1] + "g"}).encode(),
        json.dumps(GOOD | {"secret": None}).encode(),
        json.dumps(GOOD | {"salt": SALT + "\n"}).encode(),
        json.dumps(GOOD)[:-1].encode() + b', "secret": "' + b"00" * 32 + b'"}',
    ],
)
def test_a_damaged_one_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "master.json", content)
    with pytest.raises(SecretFileError, match="is no file of a master secret") as caught:
        MasterSecret.load(path)
    error = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in error.stack if "/tests/" not in frame.filename]
    assert frames
    assert SECRET[:16] not in repr([frame.locals for frame in frames]) + str(caught.value)
    assert caught.value.__context__ is None


def test_one_that_others_can_read_is_refused(tmp_path: Path) -> None:
    MasterSecret.random().create(tmp_path / "master.json")
    (tmp_path / "master.json").chmod(0o640)
    with pytest.raises(SecretFileError, match="others may use it"):
        MasterSecret.load(tmp_path / "master.json")


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    assert isinstance(_parse(Secret(content)), str)


@given(st.data())
def test_any_change_of_one_byte_is_another_secret_or_none(data: st.DataObject) -> None:
    content = bytearray(json.dumps(GOOD).encode())
    index = data.draw(st.integers(0, len(content) - 1))
    content[index] ^= data.draw(st.integers(1, 255))
    assert _parse(Secret(bytes(content))) != _parse(Secret(json.dumps(GOOD).encode()))


@pytest.mark.parametrize("secret, salt", [(31, 32), (33, 32), (32, 31), (32, 0)])
def test_the_sizes_are_fixed(secret: int, salt: int) -> None:
    with pytest.raises(SecretFileError, match="32 bytes"):
        MasterSecret(Secret(bytes(secret)), bytes(salt))
