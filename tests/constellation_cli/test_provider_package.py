# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation provider package`: what it says when it cannot. That it can: tests of the provider's packaging."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from constellation_cli.errors import ExitStatus
from constellation_cli.provider import package

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from typer.testing import Result


def test_without_pyinstaller_it_says_how_to_get_it(
    constellation: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PyInstaller", None)
    result = constellation("provider", "package", "-o", tmp_path / "made")
    assert result.exit_code == ExitStatus.FAILED
    assert "expected the Python packages pyinstaller, found none" in result.stderr
    assert "hint: pip install" in result.stderr
    assert not (tmp_path / "made").exists()


def test_without_binutils_it_says_so(
    constellation: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = constellation("provider", "package", "-o", tmp_path / "made")
    assert result.exit_code == ExitStatus.FAILED
    assert "expected the command `strip`, found none\nhint: install binutils" in result.stderr


def test_a_file_where_the_folder_must_be(constellation: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "made").write_text("mine", encoding="utf-8")
    result = constellation("provider", "package", "-o", tmp_path / "made")
    assert result.exit_code == ExitStatus.FAILED
    assert f"{tmp_path / 'made'} cannot be written" in result.stderr
    assert (tmp_path / "made").read_text(encoding="utf-8") == "mine"


def test_too_little_time_leaves_nothing(constellation: Callable[..., Result], tmp_path: Path) -> None:
    result = constellation("provider", "package", "-o", tmp_path / "made", "--timeout", "1")
    assert result.exit_code == ExitStatus.FAILED
    assert "PyInstaller was not done after 1 s\nhint: try again with more time (--timeout)" in result.stderr
    assert list((tmp_path / "made").iterdir()) == []


def test_a_version_that_registries_do_not_have(
    constellation: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "__version__", "1.0")
    result = constellation("provider", "package", "-o", tmp_path / "made")
    assert "expected a version such as 0.2.0" in result.stderr
