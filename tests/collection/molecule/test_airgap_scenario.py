# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The scenario of molecule about a host that reaches nobody: a real one, with the wheels that uv.lock pins."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from constellation_engine.services_image.wheels import export_requirements, find_uv
from tests.collection.hosts import bed
from tests.collection.molecule.scenarios import scenario

if TYPE_CHECKING:
    from tests.collection.playing import Player

PIP: Final = Path(".tools/bin/pip")


def run(*command: str | Path, cwd: Path) -> None:
    """Run a program; what it says is in the failure."""
    done = subprocess.run(command, check=False, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture
def wheels(repository: Path, tmp_path: Path) -> Path:
    """The library as a wheel, the wheels that it needs, and requirements with the hashes of all."""
    if not (repository / PIP).exists():
        pytest.skip("the repository has no tools: setup/install makes them")
    folder = tmp_path / "wheels"
    requirements = folder / "requirements.txt"
    run(find_uv(repository), "build", "--quiet", "--wheel", "--out-dir", folder, cwd=repository)
    requirements.write_text(export_requirements(repository, ["engine"], timeout=60))
    version = ("--python-version", f"{sys.version_info[0]}.{sys.version_info[1]}")
    options = ("--no-deps", "--require-hashes", "--only-binary=:all:", *version, "--dest", folder)
    run(repository / PIP, "download", "--quiet", *options, "--requirement", requirements, cwd=repository)
    ours = next(folder.glob("constellation_kubernetes-*.whl"))
    digest, number = hashlib.sha256(ours.read_bytes()).hexdigest(), ours.name.split("-")[1]
    with requirements.open("a") as file:
        file.write(f"constellation-kubernetes=={number} --hash=sha256:{digest}\n")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_host_that_reaches_nobody(play: Player, wheels: Path, tmp_path: Path) -> None:
    try:
        bed.require()
    except bed.NoBedError as error:
        pytest.skip(str(error))
    if not list((bed.root() / "usr/bin").glob(f"python{sys.version_info[0]}.{sys.version_info[1]}")):
        pytest.skip("the hosts of tests have another Python than this one, for which the wheels are")
    with bed.booted("airgapped", tmp_path / "hosts") as host:
        inventory = bed.write_inventory([host], tmp_path / "inventory.json")
        places = {"CONSTELLATION_HOSTS": str(inventory), "CONSTELLATION_WHEELS": str(wheels)}
        scenario(play, "airgap", seconds=600, **places)
