# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A node's key in the mesh is made once, kept private, and replaced as a whole."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from node_agent.errors import PermanentError
from node_agent.network.keys import KEY_FILE, NEXT_KEY_FILE, load_or_make_key, make_next_key, take_next_key

if TYPE_CHECKING:
    from pathlib import Path


def test_a_key_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "mesh"
    made = load_or_make_key(folder)
    assert load_or_make_key(folder).private_bytes_raw() == made.private_bytes_raw()
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_nodes_have_keys_of_their_own(tmp_path: Path) -> None:
    one, other = load_or_make_key(tmp_path / "one"), load_or_make_key(tmp_path / "other")
    assert one.private_bytes_raw() != other.private_bytes_raw()


def test_a_key_is_replaced(tmp_path: Path) -> None:
    old = load_or_make_key(tmp_path).private_bytes_raw()
    following = make_next_key(tmp_path).private_bytes_raw()
    assert load_or_make_key(tmp_path).private_bytes_raw() == old != following
    take_next_key(tmp_path)
    assert load_or_make_key(tmp_path).private_bytes_raw() == following
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_an_attempt_that_did_not_end_goes_on_with_its_key(tmp_path: Path) -> None:
    """The join service may have taken it."""
    first = make_next_key(tmp_path).private_bytes_raw()
    assert make_next_key(tmp_path).private_bytes_raw() == first
    take_next_key(tmp_path)
    assert make_next_key(tmp_path).private_bytes_raw() != first
    assert stat.S_IMODE((tmp_path / NEXT_KEY_FILE).stat().st_mode) == 0o600


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    load_or_make_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(PermanentError, match="expected mode 0600"):
        load_or_make_key(tmp_path)


@pytest.mark.parametrize("size", [1, 31, 33])
def test_another_size_is_refused_and_not_shown(tmp_path: Path, size: int) -> None:
    path = tmp_path / KEY_FILE
    path.write_bytes(b"k" * size)
    path.chmod(0o600)
    with pytest.raises(PermanentError, match=f"expected a key of 32 bytes, got {size}") as caught:
        load_or_make_key(tmp_path)
    assert "kk" not in str(caught.value)


def test_a_link_is_refused(tmp_path: Path) -> None:
    load_or_make_key(tmp_path / "real")
    (tmp_path / KEY_FILE).symlink_to(tmp_path / "real" / KEY_FILE)
    with pytest.raises(PermanentError, match="cannot read"):
        load_or_make_key(tmp_path)


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).symlink_to(tmp_path / "nowhere")
    with pytest.raises(PermanentError, match="cannot read"):
        load_or_make_key(tmp_path)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PermanentError, match="cannot keep the mesh key"):
        load_or_make_key(tmp_path / "file" / "mesh")
    with pytest.raises(PermanentError, match="cannot keep the new mesh key"):
        take_next_key(tmp_path)
