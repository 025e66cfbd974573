# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of providers in a home: one step from what was there to what is there, and only ours is touched."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from terraform_provider_constellation.packaging.errors import ArchiveError, FolderError, MissingToolError
from terraform_provider_constellation.packaging.mirror import Kind, Mirror, Tool
from tests.terraform_provider_constellation.packaging.zips import RELEASE, good_zip


def files(mirror: Mirror) -> set[str]:
    return {path.relative_to(mirror.folder).as_posix() for path in mirror.folder.rglob("*") if path.is_file()}


def program_of(mirror: Mirror) -> Path:
    return mirror.folder / RELEASE.version / RELEASE.processor.platform / RELEASE.program


def test_a_link_is_a_script_that_is_the_provider(mirror: Mirror) -> None:
    installation = mirror.install_link(RELEASE.version)
    assert (installation.kind, installation.changed, installation.replaced) == (Kind.LINK, True, False)
    assert files(mirror) == {f"1.2.3/{RELEASE.processor.platform}/{RELEASE.program}"}
    done = subprocess.run((program_of(mirror),), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("terraform-provider-constellation is a plugin.")


@pytest.mark.parametrize("name", ["with a space", "o'clock", "x" * 250])
def test_a_link_to_a_python_whose_name_the_kernel_does_not_understand(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    python = tmp_path / name / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    mirror.install_link(RELEASE.version)
    done = subprocess.run((program_of(mirror),), capture_output=True, text=True, check=False)
    assert done.stderr.startswith("terraform-provider-constellation is a plugin.")


def test_what_is_there_already_is_told(mirror: Mirror, tmp_path: Path) -> None:
    mirror.install_link(RELEASE.version)
    again = mirror.install_link(RELEASE.version)
    assert (again.changed, again.replaced) == (False, False)
    package = mirror.install_archive(good_zip(tmp_path))
    assert (package.kind, package.changed, package.replaced) == (Kind.PACKAGE, True, True)
    assert not mirror.install_archive(good_zip(tmp_path)).changed
    assert mirror.install_archive(good_zip(tmp_path, says="hello")).replaced


def test_what_was_there_leaves_nothing(mirror: Mirror, tmp_path: Path) -> None:
    mirror.install_archive(good_zip(tmp_path))
    assert len(files(mirror)) == 2
    mirror.install_link(RELEASE.version)
    assert files(mirror) == {f"1.2.3/{RELEASE.processor.platform}/{RELEASE.program}"}
    assert [path.name for path in (mirror.folder / "1.2.3").iterdir()] == [RELEASE.processor.platform]


def test_a_bad_zip_leaves_what_was_there(mirror: Mirror, tmp_path: Path) -> None:
    mirror.install_link(RELEASE.version)
    (tmp_path / "bad.zip").write_bytes(good_zip(tmp_path).read_bytes()[:100])
    with pytest.raises(ArchiveError):
        mirror.install_archive(tmp_path / "bad.zip")
    assert len(files(mirror)) == 1


def test_several_at_once(mirror: Mirror, tmp_path: Path) -> None:
    path = good_zip(tmp_path)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: mirror.install_archive(path), range(20)))
    assert len(files(mirror)) == 2


def test_leftovers_of_who_was_killed_are_removed(mirror: Mirror, tmp_path: Path) -> None:
    draft = mirror.folder / RELEASE.version / f".{RELEASE.processor.platform}.new"
    draft.mkdir(parents=True)
    (draft / "half").touch()
    mirror.install_archive(good_zip(tmp_path))
    assert not draft.exists()
    assert "half" not in {Path(name).name for name in files(mirror)}


def test_only_ours_is_removed(mirror: Mirror, home: Path) -> None:
    other = home / ".terraform.d" / "plugins" / "registry.terraform.io" / "example" / "zoo"
    other.mkdir(parents=True)
    tofu = Mirror.of_user(Tool.OPENTOFU)
    tofu.install_link("1.2.3")
    mirror.install_link("1.2.3")
    mirror.install_link("1.2.4")
    assert mirror.uninstall() == [mirror.folder / "1.2.3", mirror.folder / "1.2.4"]
    assert not mirror.folder.parent.exists()
    assert other.exists()
    assert tofu.uninstall() == [tofu.folder / "1.2.3"]
    assert [path.name for path in (home / ".terraform.d" / "plugins").iterdir()] == ["registry.terraform.io"]


def test_nothing_to_remove_is_no_error(mirror: Mirror, home: Path) -> None:
    assert mirror.uninstall() == []
    assert [*home.iterdir()] == []


@pytest.mark.parametrize("depth", range(6))
def test_a_file_where_a_folder_must_be(mirror: Mirror, home: Path, depth: int) -> None:
    folder = (mirror.folder / "1.2.3" / RELEASE.processor.platform, *mirror.folder.parents)[depth]
    if depth:
        folder = [mirror.folder / "1.2.3", mirror.folder, *mirror.folder.parents][depth - 1]
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("mine", encoding="utf-8")
    assert folder.is_relative_to(home)
    with pytest.raises(FolderError):
        mirror.install_link("1.2.3")
    assert folder.read_text(encoding="utf-8") == "mine"


def test_an_environment_without_the_provider_is_told_so(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgpack", None)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MissingToolError, match="msgpack") as got:
        mirror.install_link("1.2.3")
    assert "constellation-kubernetes[provider]" in got.value.hint
