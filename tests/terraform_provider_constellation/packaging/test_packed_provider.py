# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The packed provider: the same bytes from anywhere, small, whole, and at home where there is no Python."""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from constellation_cli import __version__
from terraform_provider_constellation import packaging
from terraform_provider_constellation.packaging.mirror import Mirror
from terraform_provider_constellation.packaging.release import Processor, Release, semantic_version

if TYPE_CHECKING:
    from tests.terraform_provider_constellation.packaging.user import User

RELEASE = Release(semantic_version(__version__), Processor.ours())
MAX_SIZE = 16_000_000
FOREIGN = ("cdktn", "click", "pytest", "rich", "typer")
TREE = (
    *("attestation", "components", "constellation_cli", "constellation_core", "constellation_engine"),
    *("proto", "terraform_provider_constellation"),
)
EVERYTHING = """
locals {
  digest      = join("", [for index in range(32) : "11"])
  attestation = { variant = "qemu-vtpm", measurements = { "4" = { expected = local.digest } } }
}
resource "constellation_local_machines" "x" {
  workspace = "/nowhere/machines"
  name      = "x"
  image     = "/nowhere/image"
}
resource "constellation_cluster" "x" {
  workspace = "/nowhere/cluster"
}
resource "constellation_join_config" "x" {
  kubeconfig_path = "/nowhere/kubeconfig"
  attestations    = [local.attestation]
}
data "constellation_image" "x" {}
data "constellation_node_identities" "x" {
  kubeconfig_path = "/nowhere/kubeconfig"
}
data "constellation_verification" "x" {
  endpoints    = ["x=127.0.0.1:1"]
  cluster_id   = local.digest
  attestations = [local.attestation]
}
ephemeral "constellation_kubeconfig" "x" {
  workspace = "/nowhere/cluster"
}
ephemeral "constellation_master_secret" "x" {}
"""
"""Of each kind one; most of them fail, after everything was loaded that looks at what is not there."""

TARGETS = ("-target=constellation_cluster.x", "-target=constellation_join_config.x")
PACKED = [pytest.mark.slow, pytest.mark.timeout(1800)]


def pack(root: Path, folder: Path) -> Path:
    """Pack a source tree; give the zip."""
    own = {"PYTHONPATH": f"{root}{os.pathsep}{root / 'proto'}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = (sys.executable, "-m", "constellation_cli", "provider", "package", "-o", str(folder))
    done = subprocess.run(command, cwd=root, env=os.environ | own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def said(user: User) -> list[str]:
    """What a plan of everything says, and an apply; in no order, for nothing waits for anything."""
    done = [user.run("plan", "-no-color"), user.run("apply", "-auto-approve", "-no-color", *TARGETS)]
    lines = [line for result in done for line in f"{result.stdout}\n{result.stderr}".splitlines()]
    return sorted(re.sub(r" after \d+s| \[\d+s elapsed\]", "", line) for line in lines if "Still " not in line)


@pytest.fixture(scope="module")
def packed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of this repository."""
    return pack(repository, tmp_path_factory.mktemp("packed"))


class TestPacked:
    pytestmark = PACKED

    def test_files_are_what_a_registry_wants(self, packed: Path) -> None:
        folder = packed.parent
        assert {path.name for path in folder.iterdir()} == {RELEASE.archive, RELEASE.manifest, RELEASE.sums}
        manifest = json.loads((folder / RELEASE.manifest).read_text(encoding="utf-8"))
        assert manifest == {"version": 1, "metadata": {"protocol_versions": ["6.0"]}}
        sums = dict(line.split("  ")[::-1] for line in (folder / RELEASE.sums).read_text(encoding="utf-8").splitlines())
        assert sums == {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in (RELEASE.archive, RELEASE.manifest)
        }

    def test_it_is_small(self, packed: Path) -> None:
        assert packed.stat().st_size <= MAX_SIZE

    def test_it_has_licences_and_nothing_that_says_where_it_was_made(self, packed: Path, repository: Path) -> None:
        with ZipFile(packed) as archive:
            names = archive.namelist()
            assert str(repository).encode() not in archive.read(RELEASE.program)
        assert {"licences/python/LICENSE.txt", "licences/grpclib/LICENSE.txt"} <= {*names}
        assert {name.rpartition("/")[2] for name in names if ".dist-info" in name} == {"METADATA"}
        assert not [name for name in names if name.startswith(tuple(f"licences/{foreign}/" for foreign in FOREIGN))]

    def test_another_place_gives_the_same_bytes(self, packed: Path, repository: Path, tmp_path: Path) -> None:
        for name in TREE:
            shutil.copytree(repository / name, tmp_path / "deep" / "tree" / name)
        again = pack(tmp_path / "deep" / "tree", tmp_path / "again")
        assert again.read_bytes() == packed.read_bytes()

    def test_it_says_whatever_the_link_says(self, packed: Path, user: User) -> None:
        (user.folder / "everything.tf").write_text(EVERYTHING, encoding="utf-8")
        mirror = Mirror.of_user(user.tool)
        mirror.install_link(RELEASE.version)
        assert user.init().returncode == 0
        expected, of_itself = said(user), user.schema()
        assert mirror.install_archive(packed).replaced
        (user.folder / ".terraform.lock.hcl").unlink()
        assert user.init().returncode == 0
        assert user.schema() == of_itself
        assert said(user) == expected
        assert "Plan: 2 to add, 0 to change, 0 to destroy." in expected
        assert not [line for line in expected if "unexpectedly" in line]

    def test_a_mirror_of_zips_serves_it(self, packed: Path, user: User) -> None:
        mirror = user.folder / "mirror" / user.tool.registry / "constellation-kubernetes" / "constellation"
        mirror.mkdir(parents=True)
        shutil.copy(packed, mirror)
        installation = f'filesystem_mirror {{\n    path = "{user.folder / "mirror"}"\n  }}'
        (user.folder / "tool.rc").write_text(f"provider_installation {{\n  {installation}\n}}\n", encoding="utf-8")
        assert user.init().returncode == 0

    def test_it_computes(self, packed: Path, user: User) -> None:
        Mirror.of_user(user.tool).install_archive(packed)
        digits = ", ".join(f'"{64 * digit}"' for digit in "123")
        (user.folder / "output.tf").write_text(
            f'output "id" {{\n  value = provider::constellation::cluster_id({digits})\n}}\n', encoding="utf-8"
        )
        assert user.init().returncode == 0
        done = user.run("apply", "-auto-approve", "-no-color")
        assert done.returncode == 0, done.stderr
        assert len(json.loads(user.run("output", "-json", "id").stdout)) == 64


@pytest.mark.parametrize("before", [None, "/opt/lib"])
def test_what_the_packed_provider_starts_finds_the_libraries_of_the_system(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    found: list[str | None] = []
    monkeypatch.setattr(
        "terraform_provider_constellation.main.main", lambda: found.append(os.environ.get("LD_LIBRARY_PATH"))
    )
    monkeypatch.setenv("LD_LIBRARY_PATH", "/packed/_internal")
    monkeypatch.delenv("LD_LIBRARY_PATH_ORIG", raising=False)
    if before:
        monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", before)
    runpy.run_path(str(Path(packaging.__file__).with_name("entry.py")))
    assert found == [before]
