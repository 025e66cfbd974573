# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A folder or file has its name only when it is whole; who is interrupted loses nothing that was there."""

from __future__ import annotations

from pathlib import Path

import pytest

from constellation_engine.whole_files import is_replaceable, replace_folder, whole_file, whole_folder

MARK = "build.json"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """What was made before."""
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / MARK).write_text("old")
    return folder


def fail_halfway(folder: Path) -> None:
    with whole_folder(folder) as draft:
        (draft / MARK).write_text("half")
        raise KeyboardInterrupt


class TestWholeFolder:
    def test_a_new_folder_takes_the_place_of_the_old_one(self, old: Path) -> None:
        with whole_folder(old) as draft:
            (draft / "other").write_text("new")
        assert [path.name for path in old.iterdir()] == ["other"]
        assert list(old.parent.iterdir()) == [old]

    def test_folders_above_are_made(self, tmp_path: Path) -> None:
        with whole_folder(tmp_path / "images" / "node") as draft:
            (draft / MARK).write_text("new")
        assert (tmp_path / "images" / "node" / MARK).read_text() == "new"

    def test_until_then_the_old_one_is_there(self, old: Path) -> None:
        with whole_folder(old):
            assert (old / MARK).read_text() == "old"

    def test_an_interruption_leaves_the_old_one_alone(self, old: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            fail_halfway(old)
        assert (old / MARK).read_text() == "old"
        assert list(old.parent.iterdir()) == [old]

    def test_an_interruption_leaves_nothing_where_nothing_was(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            fail_halfway(tmp_path / "image")
        assert list(tmp_path.iterdir()) == []

    def test_what_a_killed_process_left_is_removed(self, old: Path) -> None:
        for name in (".image.new", ".image.old"):
            (old.parent / name / "half").mkdir(parents=True)
        with whole_folder(old) as draft:
            assert list(draft.iterdir()) == []
        assert list(old.parent.iterdir()) == [old]

    def test_the_working_directory_can_be_replaced(self, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(old)
        with whole_folder(Path()) as draft:
            (draft / MARK).write_text("new")
        assert (old / MARK).read_text() == "new"

    def test_a_link_goes_on_leading_to_the_folder(self, old: Path) -> None:
        link = old.with_name("link")
        link.symlink_to(old)
        with whole_folder(link) as draft:
            (draft / MARK).write_text("new")
        assert link.is_symlink()
        assert (old / MARK).read_text() == "new"


def test_a_folder_that_was_made_elsewhere_takes_a_place(old: Path) -> None:
    draft = old.with_name("draft")
    draft.mkdir()
    replace_folder(draft, old)
    assert list(old.iterdir()) == []
    assert list(old.parent.iterdir()) == [old]


class TestIsReplaceable:
    def test_nothing_an_empty_folder_and_one_of_ours_are(self, old: Path) -> None:
        (old / "empty").mkdir()
        assert all(is_replaceable(folder, MARK) for folder in (old, old / "empty", old / "nowhere"))

    def test_a_file_and_a_folder_of_somebody_else_are_not(self, old: Path) -> None:
        assert not any(is_replaceable(place, MARK) for place in (old / MARK, old.parent))


def write_half(file: Path) -> None:
    with whole_file(file, mode=0o600) as draft:
        draft.write_text("half")
        raise KeyboardInterrupt


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with whole_file(file, mode=0o600) as draft:
        draft.write_text("whole")
    with pytest.raises(KeyboardInterrupt):
        write_half(file)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("whole", 0o600)
    assert list(tmp_path.iterdir()) == [file]
