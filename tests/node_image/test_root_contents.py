# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is in the measured root, and what is not."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from constellation_engine.node_image.disk import open_disk
from constellation_engine.node_image.gpt import PartitionType
from constellation_engine.node_image.image_folder import ImageFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder

pytestmark = [
    pytest.mark.timeout(2400),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount the root of an image"),
]

SIZE = 1.3 * (1 << 30)  # bytes


@pytest.fixture(scope="module")
def root(release_image: ImageFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    disk = open_disk(release_image.place(ImageFile.DISK))
    (partition,) = [one for one in disk.partitions if one.type is PartitionType.ROOT]
    mounted = tmp_path_factory.mktemp("root")
    options = f"ro,loop,offset={partition.offset},sizelimit={partition.size}"
    subprocess.run(["mount", "-t", "erofs", "-o", options, release_image.place(ImageFile.DISK), mounted], check=True)
    try:
        yield mounted
    finally:
        subprocess.run(["umount", mounted], check=True)


def programs(root: Path) -> set[str]:
    folders = ("usr/bin", "usr/sbin", "usr/lib/systemd", "usr/local/bin")
    return {path.name for folder in folders for path in (root / folder).glob("*")}


def units(root: Path) -> set[str]:
    return {path.name for path in (root / "usr/lib/systemd/system").rglob("*")} | {
        path.name for path in (root / "etc/systemd/system").rglob("*")
    }


@pytest.mark.parametrize(
    "name",
    ["sh", "bash", "dash", "su", "login", "agetty", "sulogin", "sshd", "gcc", "cc", "apt", "apt-get", "dpkg", "perl"],
)
def test_there_is_no_shell_no_compiler_and_no_package_manager(root: Path, name: str) -> None:
    assert name not in programs(root)


@pytest.mark.parametrize(
    "name",
    [
        *("containerd", "containerd-shim-runc-v2", "ctr", "crun", "kubelet", "kubeadm", "nft", "conntrack"),
        *("cryptsetup", "mkfs.ext4", "constellation-node-agent"),
    ],
)
def test_programs_of_a_node_are_there(root: Path, name: str) -> None:
    assert name in programs(root)


@pytest.mark.parametrize("pattern", ["systemd-pcr", "getty", "debug-shell", "rescue", "systemd-tpm2-setup", "ssh"])
def test_no_unit_extends_registers_or_shows_a_prompt(root: Path, pattern: str) -> None:
    assert [name for name in units(root) if pattern in name] == []


def test_no_generator_takes_orders_from_outside(root: Path) -> None:
    assert {path.name for path in (root / "usr/lib/systemd/system-generators").iterdir()} <= {
        "systemd-fstab-generator",
        "systemd-veritysetup-generator",
    }


def test_nothing_can_be_run_as_somebody_else(root: Path) -> None:
    special = stat.S_ISUID | stat.S_ISGID
    found = [
        path for path in root.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_mode & special
    ]
    assert found == []


def test_no_account_has_a_password_that_opens(root: Path) -> None:
    lines = (root / "etc/shadow").read_text().splitlines()
    assert [line for line in lines if line.split(":")[1] not in ("*", "!", "!*", "!unprovisioned")] == []


def test_modules_are_compiled_for_good(root: Path) -> None:
    compiled = list((root / "usr/lib/constellation/python/node_agent/__pycache__").glob("*.pyc"))
    assert compiled
    assert {path.read_bytes()[4] for path in compiled} == {1}, "hash, unchecked (PEP 552)"


def test_nothing_of_it_is_for_tests(root: Path) -> None:
    assert list((root / "usr/lib/constellation/python").rglob("testing")) == []


def test_facts_say_what_the_build_record_says(root: Path, release_image: ImageFolder) -> None:
    facts, record = (
        json.loads((root / "usr/lib/constellation/image/image.json").read_text()),
        release_image.read_build(),
    )
    assert facts == {
        "version": 1,
        "name": record.name,
        "image_version": record.version,
        "variant": record.variant.value,
        "profile": "release",
        "kubernetes": f"v{record.kubernetes}",
    }


def test_nodes_believe_the_key_that_signed(root: Path, release_image: ImageFolder) -> None:
    key = (root / "usr/lib/constellation/image/image.pub").read_bytes()
    assert key == release_image.read(ImageFile.PUBLIC_KEY)


def test_container_images_are_unpacked_already(root: Path) -> None:
    store = root / "usr/lib/constellation/containerd"
    layers = list((store / "io.containerd.snapshotter.v1.overlayfs/snapshots").glob("*/fs"))
    assert len(layers) >= 7
    assert (
        sum(path.stat().st_size for path in (store / "io.containerd.content.v1.content").rglob("*") if path.is_file())
        < 1 << 20
    )


def test_the_image_is_not_larger_than_promised(release_image: ImageFolder) -> None:
    assert release_image.place(ImageFile.DISK).stat().st_size <= SIZE
