# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What changed between two images, and why their registers differ."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from attestation.errors import MalformedError
from attestation.testing.uki import PARTS, build_executable
from constellation_core.component_list import Component
from constellation_engine.errors import NodeImageError
from constellation_engine.node_image.diff import Change, ImageDifference, PartDifference, compare
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.packages import ContainerImage, DebianPackage, PythonPackage
from constellation_engine.testing.node_images import BUILD, OTHER_KEY, PACKAGES, FakeImage, with_package

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder

LIBC = PACKAGES.debian[0]


def difference(image: ImageFolder, path: Path, **changes: Any) -> ImageDifference:  # noqa: ANN401 - fields of FakeImage
    return compare(image, FakeImage(**changes).write(path / "other"))


def reasons(found: ImageDifference) -> dict[int, tuple[str, ...]]:
    return {one.register: one.reasons for one in found.registers}


def test_the_same_image_has_no_difference(image: ImageFolder, tmp_path: Path) -> None:
    assert difference(image, tmp_path).is_empty


def test_who_signed_is_no_difference(image: ImageFolder, tmp_path: Path) -> None:
    assert difference(image, tmp_path, key=OTHER_KEY).is_empty


@pytest.mark.parametrize(
    "section, content, expected",
    [
        (".initrd", b"another", {4: ("unified kernel image",), 9: ("initrd",), 11: ("section .initrd",)}),
        (".osrel", b"ID=x", {4: ("unified kernel image",), 9: ("initrd",), 11: ("section .osrel",)}),
        (".uname", b"6.13", {4: ("unified kernel image",), 11: ("section .uname",)}),
        (
            ".linux",
            build_executable({".text": b"another kernel"}),
            {4: ("unified kernel image", "kernel"), 11: ("section .linux",)},
        ),
        (".splash", b"BM", {4: ("unified kernel image",), 11: ("section .splash (added)",)}),
    ],
)
def test_a_register_differs_because_of_a_section(
    image: ImageFolder, tmp_path: Path, section: str, content: bytes, expected: dict[int, tuple[str, ...]]
) -> None:
    assert reasons(difference(image, tmp_path, sections={section: content})) == expected
    assert section in PARTS or section == ".splash"


def test_another_root_shows_on_the_command_line(image: ImageFolder, tmp_path: Path) -> None:
    found = difference(image, tmp_path, root=b"another root")
    assert [word[:9] for word in (*found.command_line.removed, *found.command_line.added)] == ["roothash="] * 2
    assert reasons(found)[9] == ("command line",)


def test_another_order_of_words_is_a_difference(image: ImageFolder, tmp_path: Path) -> None:
    found = difference(image, tmp_path, command_line="rd.shell=0 console=ttyS0")
    assert found.command_line.removed[0].startswith("console=ttyS0 rd.shell=0 ")
    assert found.command_line.added[0].startswith("rd.shell=0 console=ttyS0 ")


def test_packages_are_added_removed_and_changed(image: ImageFolder, tmp_path: Path) -> None:
    newer, other = replace(LIBC, version="2.42"), DebianPackage("attr", "1", "amd64", "00" * 32, "attr", "1")
    packages = replace(PACKAGES, debian=(newer, other))
    found = difference(image, tmp_path, packages=packages)
    assert found.registers == ()
    assert {(part.name, part.change) for part in found.parts} == {
        ("libc6 (amd64)", Change.CHANGED),
        ("zlib1g (amd64)", Change.REMOVED),
        ("attr (amd64)", Change.ADDED),
    }


def test_the_same_version_with_another_hash_is_a_change(image: ImageFolder, tmp_path: Path) -> None:
    found = difference(image, tmp_path, packages=with_package(PACKAGES, replace(LIBC, sha256="00" * 32)))
    before, after = f"{LIBC.version} {LIBC.sha256[:16]}", f"{LIBC.version} {'0' * 16}"
    assert found.parts == (PartDifference("debian", "libc6 (amd64)", before, after),)


def test_every_kind_of_part_is_compared(image: ImageFolder, tmp_path: Path) -> None:
    packages = replace(
        PACKAGES,
        tools=(),
        python=(PythonPackage("grpclib", "0.5.0"),),
        components=(Component("kubelet", "1.36.5", "b2" * 32),),
        containers=(ContainerImage("registry.k8s.io/pause", f"sha256:{'00' * 32}"),),
    )
    build = replace(BUILD, version="0.2.0", kubernetes="1.36.5")
    found = difference(image, tmp_path, packages=packages, build=build)
    assert {(part.kind, part.name, part.change.value) for part in found.parts} == {
        ("image", "version", "changed"),
        ("image", "Kubernetes", "changed"),
        ("tools", "mkosi (all)", "removed"),
        ("python", "grpclib", "changed"),
        ("components", "kubelet", "changed"),
        ("containers", "registry.k8s.io/pause", "changed"),
    }


def test_launch_digests_are_compared(image: ImageFolder, tmp_path: Path) -> None:
    other = FakeImage().write(tmp_path / "other")
    manifest = replace(FakeImage().manifest(), measurements={}, launch_digests=(b"\1" * 48,))
    other.place(ImageFile.MEASUREMENTS).write_bytes(manifest.to_document().replace(b'"qemu-vtpm"', b'"qemu-snp"'))
    assert compare(image, other).launch_digests == (f"+{'01' * 48}",)


def test_the_record_is_versioned(image: ImageFolder, tmp_path: Path) -> None:
    record = difference(image, tmp_path, root=b"x").to_mapping()
    assert (record["version"], record["same"]) == (1, False)
    assert set(record) == {"version", "same", "parts", "registers", "command_line", "launch_digests"}


def test_a_damaged_image_is_told(image: ImageFolder, tmp_path: Path) -> None:
    other = FakeImage().write(tmp_path / "other")
    other.place(ImageFile.PACKAGES).write_text("{")
    with pytest.raises(MalformedError, match="package manifest is not JSON"):
        compare(image, other)
    other.place(ImageFile.UKI).unlink()
    with pytest.raises(NodeImageError, match=r"expected node\.efi, is not there"):
        compare(image, other)
