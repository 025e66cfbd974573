# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The way in: make, setup, the list of packages, the lock."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CHECK = re.compile(r"(command|file|header|library|module):\S+")
PROMISED_TARGETS = {"help", "setup", "test", "test-slow", "bench", "docs", "format"}


def listed_packages() -> list[list[str]]:
    lines = (REPOSITORY / "setup" / "packages.txt").read_text(encoding="utf-8").splitlines()
    return [line.split(maxsplit=3) for line in lines if line and not line.startswith("#")]


@pytest.fixture
def bare_system(tmp_path: Path) -> Path:
    """A PATH with Python and little else: no apt-get, no sudo, no swtpm."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python3").symlink_to(sys.executable)
    for name in ("dirname", "env"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    return folder


def install(path: Path, packages: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.fspath(path), "CONSTELLATION_PACKAGES": os.fspath(packages)}
    script = REPOSITORY / "setup" / "install"
    return subprocess.run(["/bin/bash", script], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("line", listed_packages(), ids=lambda line: line[1])
def test_each_package_says_when_why_and_how_to_see_it(line: list[str]) -> None:
    tier, _package, check, reason = line
    assert tier in {"test", "slow"}
    assert CHECK.fullmatch(check)
    assert reason


def test_an_unknown_system_is_told_what_is_missing(bare_system: Path, tmp_path: Path) -> None:
    packages = tmp_path / "packages.txt"
    packages.write_text(
        "test present command:dirname -\ntest absent-one command:absent -\nslow later command:later -\n"
    )
    result = install(bare_system, packages)
    assert result.returncode == 1
    assert "Please install what Debian calls: absent-one (" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="without root, setup asks sudo")
def test_what_is_missing_is_installed(bare_system: Path, tmp_path: Path) -> None:
    packages = tmp_path / "packages.txt"
    packages.write_text("test missing-one command:missing -\ntest present command:dirname -\n")
    apt = bare_system / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/log\n/bin/ln -sf /bin/true {bare_system}/missing\n')
    apt.chmod(0o755)
    assert install(bare_system, packages).returncode == 0
    assert (tmp_path / "log").read_text().splitlines()[-1].endswith(" missing-one")


def test_a_misspelt_check_is_not_taken_for_present(bare_system: Path, tmp_path: Path) -> None:
    packages = tmp_path / "packages.txt"
    packages.write_text("test thing comand:bash -\n")
    assert "thing" in install(bare_system, packages).stderr


def test_make_explains_itself() -> None:
    lines = subprocess.run(["make", "-C", REPOSITORY, "help"], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make (\S+) +\S", lines, re.MULTILINE)) >= PROMISED_TARGETS


def test_continuous_integration_runs_what_developers_run() -> None:
    commands = [
        line for line in (REPOSITORY / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', "exec make test"]


def test_every_locked_package_comes_from_one_index_and_has_a_hash() -> None:
    locked = tomllib.loads((REPOSITORY / "uv.lock").read_text(encoding="utf-8"))["package"]
    third_party = [package for package in locked if package["source"] != {"editable": "."}]
    assert len({tuple(package["source"].items()) for package in third_party}) == 1
    wheels = [wheel for package in third_party for wheel in package.get("wheels", [])]
    archives = [package["sdist"] for package in third_party if "sdist" in package]
    assert [item["url"] for item in wheels + archives if not item["hash"].startswith("sha256:")] == []
