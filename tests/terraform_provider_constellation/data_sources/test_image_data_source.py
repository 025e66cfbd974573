# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`data.constellation_image`: found by what people know of it; what is not there is told with what is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from constellation_core.image_manifest import sign
from constellation_engine.node_image.catalogue import Catalogue, Place, PlaceKind
from constellation_engine.testing.node_images import BUILD, KEY, FakeImage

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder
    from tests.terraform_provider_constellation.real_terraform import Terraform

OLD = replace(BUILD, version="0.0.9", created=BUILD.created - timedelta(days=1))
DEBUG = replace(BUILD, profile="debug")


def ask(terraform: Terraform, arguments: str = "") -> None:
    output = 'output "a" {\n  value = data.constellation_image.a.image\n}'
    terraform.write(f'data "constellation_image" "a" {{\n{arguments}\n}}\n{output}')


def test_the_newest_is_found(terraform: Terraform, image: ImageFolder, images: Path) -> None:
    FakeImage(build=OLD).write(images / "old")
    ask(terraform)
    assert terraform.apply().status == 0
    found = terraform.outputs()["a"]
    assert found["path"] == str(image.path)
    assert found["reference"] == str(image.path / "node.raw")
    assert found["short_path"] == "constellation-node/qemu-vtpm/release/0.1.0"
    assert found["kubernetes_version"] == "v1.36.4"
    assert found["public_key"].startswith("-----BEGIN PUBLIC KEY-----")
    assert not terraform.differs()


def test_a_version_is_found(terraform: Terraform, image: ImageFolder, images: Path) -> None:
    old = FakeImage(build=OLD).write(images / "old")
    assert image.path != old.path
    ask(terraform, 'version = "0.0.9"')
    assert terraform.apply().status == 0
    assert terraform.outputs()["a"]["path"] == str(old.path)


def test_a_folder_of_one_image(terraform: Terraform, tmp_path: Path) -> None:
    FakeImage().write(tmp_path / "somewhere")
    ask(terraform, f'path = "{tmp_path}/somewhere"')
    assert terraform.apply().status == 0
    assert terraform.outputs()["a"]["version"] == "0.1.0"


def test_a_published_list(terraform: Terraform, tmp_path: Path) -> None:
    place = Place(PlaceKind.FILE, "https://images.invalid/node.raw", "ab" * 32, 12345)
    signed = sign(FakeImage().manifest().to_document(), KEY)
    (tmp_path / "images.json").write_bytes(Catalogue(()).with_place(BUILD, signed, place).to_document())
    ask(terraform, f'catalogue = "{tmp_path}/images.json"\nattestation_variant = "qemu-vtpm"')
    assert terraform.apply().status == 0
    found = terraform.outputs()["a"]
    assert (found["reference"], found["path"], found["public_key"]) == (place.location, None, None)


def test_a_debug_image_is_a_warning(terraform: Terraform, images: Path) -> None:
    FakeImage(build=DEBUG).write(images / "debug")
    ask(terraform, 'profile = "debug"')
    assert "Warning: This image lets people in" in terraform.apply().text


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            'version = "9.9.9"',
            "with version 9.9.9, {images} has constellation-node 0.1.0 (qemu-vtpm, release). Hint: constellation image",
        ),
        ('attestation_variant = "qemu-snp"', "Expected an image with variant qemu-snp"),
        ('path = "{images}"', "expected the folder of an image, with build.json, got a folder without it"),
        ('path = "/nowhere"', "with build.json, got nothing"),
        ('folder = "/nowhere"', "/nowhere has none"),
        ('catalogue = "/nowhere"', "/nowhere cannot be read: No such file or directory"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    terraform: Terraform, image: ImageFolder, arguments: str, message: str
) -> None:
    ask(terraform, arguments.format(images=image.path.parent))
    text = terraform.run("plan").text
    assert "Error: No such image" in text
    assert message.format(images=image.path.parent) in text
    assert "Traceback" not in text


def test_two_of_the_same_are_told_apart_by_their_folders(
    terraform: Terraform, image: ImageFolder, images: Path
) -> None:
    FakeImage().write(images / "copy")
    ask(terraform)
    text = terraform.run("plan").text
    assert f"Expected one image with any name, got {images}/copy, {image.path}. Hint: name its folder." in text


def test_a_damaged_image_is_named(terraform: Terraform, image: ImageFolder) -> None:
    (image.path / "build.json").write_bytes(b"{}")
    ask(terraform)
    assert "node cannot be read: build record lacks version" in terraform.run("plan").text
