# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The collection as people get it: what is in the tarball, and that it works where it is installed."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.collection.checks.clean_copy import copy_collection
from tests.collection.playing import COLLECTION, REPOSITORY, Player

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE = {"LICENSES", "docs", "extensions", "meta", "playbooks", "plugins", "roles"}
ALONE = {"README.md", "changelogs/changelog.yaml", "changelogs/config.yaml"}
ADDED = {"FILES.json", "MANIFEST.json"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_collection(tmp_path_factory.mktemp("copy"))


@pytest.fixture(scope="module")
def tarball(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    done = Player(home).run("ansible-galaxy", "collection", "build", str(copy), "--output-path", str(home))
    assert done.returncode == 0, done.stdout
    return home / "constellation-core-0.1.0.tar.gz"


@pytest.fixture(scope="module")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("installed")
    player = Player(tmp_path_factory.mktemp("home"))
    only_there = {**player.environment, "ANSIBLE_COLLECTIONS_PATH": str(place)}
    arguments = ("collection", "install", str(tarball), "--offline", "--force", "-p", str(place))
    done = player.run("ansible-galaxy", *arguments, environment=only_there)
    assert done.returncode == 0, done.stdout
    return place


def shipped(copy: Path) -> Iterator[str]:
    for path in copy.rglob("*"):
        name = path.relative_to(copy).as_posix()
        wanted = name in ALONE or name.partition("/")[0] in WHOLE
        if wanted and path.is_file() and not name.startswith("extensions/molecule/"):
            yield name


def test_the_tarball_has_what_people_need_and_nothing_else(copy: Path, tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        found = {member.name for member in archive if member.isfile()}
    assert found == {*shipped(copy), *ADDED}


def test_its_version_is_that_of_the_library(tarball: Path) -> None:
    from constellation_cli import __version__  # noqa: PLC0415 - only here

    assert __version__ in tarball.name


def test_an_installed_collection_runs(installed: Path, tmp_path: Path) -> None:
    player = Player(tmp_path)
    playbook = installed / "ansible_collections/constellation/core/playbooks/site.yml"
    environment = {**player.environment, "ANSIBLE_COLLECTIONS_PATH": str(installed)}
    done = player.run("ansible-playbook", "--syntax-check", str(playbook), environment=environment)
    assert done.returncode == 0, done.stdout
    done = player.run("ansible-doc", "--list", "constellation.core", environment=environment)
    assert "constellation.core.cluster_verify" in done.stdout


@pytest.mark.parametrize("name", ["Apache-2.0.txt", "GPL-3.0-or-later.txt"])
def test_its_licences_are_those_of_the_repository(name: str) -> None:
    assert (COLLECTION / "LICENSES" / name).read_bytes() == (REPOSITORY / "LICENSES" / name).read_bytes()


def test_what_builds_it_from_the_root_is_a_link() -> None:
    assert (REPOSITORY / "galaxy.yml").readlink() == Path("ansible_collections/constellation/core/galaxy.yml")


def test_an_execution_environment_names_files_that_are_there() -> None:
    said = yaml.safe_load((COLLECTION / "meta/execution-environment.yml").read_text())
    assert all((COLLECTION / path).is_file() for path in said["dependencies"].values())
