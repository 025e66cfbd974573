# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""An image whose firmware is handed a kernel is accepted for machines that were named, and for no other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from attestation.testing.uki import PARTS
from attestation.variant import Variant
from constellation_core.image_manifest import ImageManifest
from constellation_engine.errors import MachineSpecError
from constellation_engine.machines import DirectBoot, VcpuModel
from constellation_engine.machines.launch_digest import Processors, launch_digests
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.node_image.launch import LaunchInputs, launch_mismatches
from constellation_engine.testing.node_images import BUILD, FakeImage

if TYPE_CHECKING:
    from pathlib import Path

MILAN = [Processors(number, VcpuModel.MILAN) for number in (1, 2)]


@pytest.fixture
def firmware(vectors: Path) -> Path:
    """The end of an AmdSev build of OVMF."""
    return vectors / "virtee__sev-snp-measure/tests/fixtures/ovmf_AmdSev_suffix.bin"


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    """What firmware is handed."""
    for file, content in (
        (ImageFile.KERNEL, PARTS[".linux"]),
        (ImageFile.INITRD, PARTS[".initrd"]),
        (ImageFile.COMMAND_LINE, b"roothash=00"),
    ):
        (tmp_path / file).write_bytes(content)
    return ImageFolder(tmp_path)


@pytest.fixture
def manifest(folder: ImageFolder, firmware: Path) -> ImageManifest:
    """What was signed: digests for two sizes of machines."""
    boot = DirectBoot(folder.place(ImageFile.KERNEL), folder.place(ImageFile.INITRD), "roothash=00")
    digests = launch_digests(firmware, boot, MILAN)
    signed = tuple(sorted(digests.values()))
    return ImageManifest(image="node", variant=Variant.QEMU_SNP, launch_digests=signed, created=BUILD.created)


def test_machines_that_were_signed_are_accepted(folder: ImageFolder, manifest: ImageManifest, firmware: Path) -> None:
    assert list(launch_mismatches(folder, manifest, LaunchInputs(firmware, MILAN))) == []
    assert list(launch_mismatches(folder, manifest, LaunchInputs(firmware, MILAN[:1]))) == []


@pytest.mark.parametrize("other", [Processors(4, VcpuModel.MILAN), Processors(1, VcpuModel.GENOA)])
def test_other_machines_are_refused(
    folder: ImageFolder, manifest: ImageManifest, firmware: Path, other: Processors
) -> None:
    (found,) = launch_mismatches(folder, manifest, LaunchInputs(firmware, [*MILAN, other]))
    assert (found.name, found.expected) == ("launch_digests", "one of the 2 that were signed")
    assert f"for {other.number} processors {other.model}" in found.got


@pytest.mark.parametrize("file", [ImageFile.KERNEL, ImageFile.INITRD, ImageFile.COMMAND_LINE])
def test_another_part_is_refused(folder: ImageFolder, manifest: ImageManifest, firmware: Path, file: ImageFile) -> None:
    folder.place(file).write_bytes(b"another")
    assert len(list(launch_mismatches(folder, manifest, LaunchInputs(firmware, MILAN)))) == 2


def test_without_firmware_and_processors_nothing_is_accepted(folder: ImageFolder, manifest: ImageManifest) -> None:
    (found,) = launch_mismatches(folder, manifest, None)
    assert (found.got, "--firmware FILE" in found.hint) == ("none", True)


def test_firmware_that_is_none_is_told(folder: ImageFolder, manifest: ImageManifest, tmp_path: Path) -> None:
    (tmp_path / "firmware").write_bytes(b"no firmware")
    with pytest.raises(MachineSpecError, match="no launch digest"):
        list(launch_mismatches(folder, manifest, LaunchInputs(tmp_path / "firmware", MILAN)))


def test_a_manifest_without_digests_says_nothing_of_such_an_image(folder: ImageFolder) -> None:
    manifest = replace(FakeImage().manifest(), variant=Variant.QEMU_TDX)
    (found,) = launch_mismatches(folder, manifest, None)
    assert (found.expected, found.got) == ("at least one", "none")
