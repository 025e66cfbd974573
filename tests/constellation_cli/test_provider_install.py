# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation provider install` and `uninstall`: what they say, and how they end."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from constellation_cli import __version__
from constellation_cli.errors import ExitStatus
from constellation_cli.provider import install
from terraform_provider_constellation.packaging.release import Release
from tests.terraform_provider_constellation.packaging.zips import OTHER, RELEASE, good_zip

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

PLUGINS = Path(".terraform.d", "plugins")
ADDRESS = Path("constellation-kubernetes", "constellation")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    for command in ("terraform", "tofu"):
        (tmp_path / "bin" / command).touch(mode=0o755)
    return folder


def test_a_link_by_default(constellation: Callable[..., Result], home: Path) -> None:
    result = constellation("provider", "install", "-o", "json")
    assert (result.exit_code, result.stderr) == (0, "")
    record = json.loads(result.stdout)
    folder = home / PLUGINS / "registry.terraform.io" / ADDRESS / __version__ / RELEASE.processor.platform
    assert record == {
        "version": 1,
        "provider": "registry.terraform.io/constellation-kubernetes/constellation",
        "provider_version": __version__,
        "platform": RELEASE.processor.platform,
        "kind": "link",
        "folder": str(folder),
        "changed": True,
    }
    (program,) = folder.iterdir()
    assert os.access(program, os.X_OK)


def test_again_changes_nothing(constellation: Callable[..., Result]) -> None:
    assert json.loads(constellation("provider", "install", "-o", "json").stdout)["changed"]
    assert not json.loads(constellation("provider", "install", "-o", "json").stdout)["changed"]


def test_people_get_a_table(constellation: Callable[..., Result]) -> None:
    assert "kind              link\n" in constellation("provider", "install").stdout


def test_a_zip(constellation: Callable[..., Result], tmp_path: Path) -> None:
    result = constellation("provider", "install", "--from", good_zip(tmp_path), "-o", "json")
    assert result.exit_code == 0
    record = json.loads(result.stdout)
    assert (record["kind"], record["provider_version"]) == ("package", "1.2.3")


def test_opentofu_has_a_folder_of_its_own(constellation: Callable[..., Result], home: Path) -> None:
    assert constellation("provider", "install", "--opentofu").exit_code == 0
    assert [path.name for path in (home / PLUGINS).iterdir()] == ["registry.opentofu.org"]


def test_what_was_replaced_is_told_with_what_to_do(constellation: Callable[..., Result], tmp_path: Path) -> None:
    constellation("provider", "install", "--from", good_zip(tmp_path))
    result = constellation("provider", "install", "--from", good_zip(tmp_path, says="hello"))
    assert "remove .terraform.lock.hcl, which has its hash, and run `terraform init`" in result.stderr


def test_what_is_no_release_is_told_with_how_to_ask_for_it(
    constellation: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "__version__", "0.2.0.dev3")
    assert 'only where it is asked for: version = "0.2.0-dev.3"' in constellation("provider", "install").stderr


def test_a_version_that_registries_do_not_have(
    constellation: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "__version__", "0.2.0.post1")
    result = constellation("provider", "install")
    assert result.exit_code == ExitStatus.FAILED
    assert "got '0.2.0.post1'" in result.stderr


@pytest.mark.parametrize("tool, option", [("terraform", ()), ("tofu", ("--opentofu",))])
def test_a_missing_tool_is_told(
    constellation: Callable[..., Result], tmp_path: Path, tool: str, option: tuple[str, ...]
) -> None:
    (tmp_path / "bin" / tool).unlink()
    result = constellation("provider", "install", *option)
    assert result.exit_code == 0
    assert f"there is no `{tool}` on your path" in result.stderr


def test_wrong_files_are_explained(constellation: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip", encoding="utf-8")
    other = good_zip(tmp_path, Release("1.2.3", OTHER))
    reasons = {"missing.zip": "cannot be read", "text.zip": "is no whole zip", other.name: "expected a program for"}
    for name, reason in reasons.items():
        result = constellation("provider", "install", "--from", tmp_path / name)
        assert (result.exit_code, result.stdout) == (ExitStatus.FAILED, "")
        assert reason in result.stderr
        assert "hint: " in result.stderr
        assert "bug" not in result.stderr


def test_a_file_in_the_way_is_named(constellation: Callable[..., Result], home: Path) -> None:
    (home / ".terraform.d").touch()
    for command in ("install", "uninstall"):
        result = constellation("provider", command)
        assert "bug" not in result.stderr
    assert stat.S_ISREG((home / ".terraform.d").stat().st_mode)
    result = constellation("provider", "install")
    assert result.exit_code == ExitStatus.FAILED
    assert f"{home}/.terraform.d" in result.stderr


def test_uninstall_says_what_is_gone_and_can_be_repeated(constellation: Callable[..., Result], home: Path) -> None:
    constellation("provider", "install")
    record = json.loads(constellation("provider", "uninstall", "-o", "json").stdout)
    folder = home / PLUGINS / "registry.terraform.io" / ADDRESS / __version__
    assert record == {"version": 1, "removed": [str(folder)]}
    assert not folder.exists()
    assert constellation("provider", "uninstall").stdout == "removed  none\n"
