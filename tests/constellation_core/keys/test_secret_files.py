# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""A file with secrets is read only where nobody else can, and written once."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from constellation_core.errors import SecretFileError
from constellation_core.keys.secret import Secret
from constellation_core.keys.secret_file import MAX_SIZE, create_secret_file, read_secret_file

CONTENT = Secret(b"the content")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    create_secret_file(path, CONTENT)
    return path


def test_what_was_written_is_read(path: Path) -> None:
    assert read_secret_file(path) == CONTENT


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_its_mode_is_0600_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        create_secret_file(tmp_path / "secret", CONTENT)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o640, 0o620, 0o610, 0o644, 0o666, 0o777])
def test_one_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(SecretFileError, match=f"expected mode 0600, got {mode:04o}") as caught:
        read_secret_file(path)
    assert f"chmod 600 {path}" in caught.value.hint


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_one_that_only_we_may_use_is_read(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert read_secret_file(path) == CONTENT


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_one_of_somebody_else_is_refused(path: Path) -> None:
    os.chown(path, 12345, -1)
    with pytest.raises(SecretFileError, match="got one of user 12345"):
        read_secret_file(path)


def test_a_symbolic_link_is_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(SecretFileError, match="cannot read") as caught:
        read_secret_file(tmp_path / "link")
    assert "symbolic link" in caught.value.hint


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SecretFileError, match="regular file"):
        read_secret_file(tmp_path / "pipe")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match="regular file"):
        read_secret_file(tmp_path)


def test_a_missing_one_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match="No such file"):
        read_secret_file(tmp_path / "nothing")


@pytest.mark.parametrize("size", [0, MAX_SIZE + 1])
def test_an_empty_or_endless_one_is_refused(path: Path, size: int) -> None:
    path.write_bytes(b"x" * size)
    with pytest.raises(SecretFileError, match="expected 1 to"):
        read_secret_file(path)


def test_the_longest_is_read(path: Path) -> None:
    path.write_bytes(b"x" * MAX_SIZE)
    assert len(read_secret_file(path).reveal()) == MAX_SIZE


def test_refusals_leave_no_file_open(path: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    path.chmod(0o644)
    before = open_files()
    for _ in range(5):
        with pytest.raises(SecretFileError):
            read_secret_file(path)
    assert open_files() == before


def test_it_is_never_overwritten(path: Path) -> None:
    with pytest.raises(SecretFileError, match="already there"):
        create_secret_file(path, Secret(b"another"))
    assert read_secret_file(path) == CONTENT


@pytest.mark.parametrize("target", ["elsewhere", "missing/elsewhere"])
def test_nothing_is_written_through_a_symbolic_link(tmp_path: Path, target: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / target)
    with pytest.raises(SecretFileError, match="already there"):
        create_secret_file(tmp_path / "link", CONTENT)
    assert not (tmp_path / target).exists()


def test_of_many_writers_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "secret"

    def write(number: int) -> bool:
        try:
            create_secret_file(path, Secret(b"%d" % number))
        except SecretFileError:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        wins = list(threads.map(write, range(64)))
    assert wins.count(True) == 1
    assert read_secret_file(path).reveal() == b"%d" % wins.index(True)
    assert list(tmp_path.iterdir()) == [path]


def test_no_draft_stays_behind(path: Path) -> None:
    assert list(path.parent.iterdir()) == [path]


def test_one_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SecretFileError, match="No space left"):
        create_secret_file(tmp_path / "secret", CONTENT)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match="cannot write") as caught:
        create_secret_file(tmp_path / "missing" / "secret", CONTENT)
    assert "folder" in caught.value.hint


KILLED = """
import os, sys
from pathlib import Path
from constellation_core.keys.secret import Secret
from constellation_core.keys.secret_file import create_secret_file
os.fsync = lambda descriptor: os.kill(os.getpid(), 9)
create_secret_file(Path(sys.argv[1]), Secret(b"half"))
"""


def test_a_writer_that_is_killed_leaves_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert subprocess.run([sys.executable, "-c", KILLED, path], check=False).returncode == -9
    assert not path.exists()
    assert all(stat.S_IMODE(left.stat().st_mode) == 0o600 for left in tmp_path.iterdir())
