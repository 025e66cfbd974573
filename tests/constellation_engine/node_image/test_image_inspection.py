# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What is in an image, a disk, or a unified kernel image."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation.errors import MalformedError, PredictionError
from attestation.measured_boot.predict import predict
from attestation.testing.uki import PARTS, FakeUki
from constellation_engine.errors import NodeImageError, UnknownImageError
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.inspection import Kind, inspect
from constellation_engine.node_image.kernel_image import read_kernel_image
from constellation_engine.node_image.signing import fingerprint, public_pem
from constellation_engine.testing.node_disk import FakeDisk
from constellation_engine.testing.node_images import KEY, OTHER_KEY, FakeImage

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder


def test_a_folder_shows_everything(image: ImageFolder) -> None:
    found = inspect(image.path)
    record = json.loads(json.dumps(found.to_mapping()))
    assert (found.kind, record["version"]) == (Kind.FOLDER, 1)
    assert record["build"]["kubernetes"] == "1.36.4"
    assert [one["type"] for one in record["disk"]["partitions"]] == ["esp", "root", "root_verity"]
    assert record["disk"]["size"] == image.place(ImageFile.DISK).stat().st_size
    assert [one["path"] for one in record["disk"]["esp"]] == [
        "EFI/BOOT/BOOTX64.EFI",
        "constellation/measurements.json",
        "constellation/measurements.json.sig",
    ]
    assert record["uki"]["kernel"] == "6.12.0-fake"
    assert record["uki"]["stub"] == "257.13-1~deb13u1"
    assert record["uki"]["root_hash"] in record["uki"]["command_line"]
    assert record["measurements"]["signed_by"] == fingerprint(public_pem(KEY))
    assert record["packages"] == {"debian": 2, "tools": 1, "python": 1, "components": 1, "containers": 1}


def test_registers_are_those_of_the_prediction(image: ImageFolder) -> None:
    expected = {str(index): value.hex() for index, value in predict(FakeImage().uki()).registers.items()}
    assert inspect(image.path).to_mapping()["registers"] == expected


def test_a_disk_alone_shows_the_image_in_its_esp(image: ImageFolder) -> None:
    found = inspect(image.place(ImageFile.DISK))
    assert found.kind is Kind.DISK
    assert found.uki.sha256 == inspect(image.place(ImageFile.UKI)).uki.sha256
    assert (found.build, found.packages) == (None, None)


def test_a_disk_alone_shows_who_signed_what_lies_in_its_esp(image: ImageFolder) -> None:
    disk = image.place(ImageFile.DISK)
    assert inspect(disk).to_mapping()["measurements"]["signed_by"] == ""
    found = inspect(disk, [public_pem(KEY)])
    assert found.to_mapping()["measurements"]["signed_by"] == fingerprint(public_pem(KEY))
    assert found.differing == ()


def test_a_disk_that_starts_another_kernel_image_than_the_signed_one_is_found(image: ImageFolder) -> None:
    esp = {
        "constellation/measurements.json": image.read(ImageFile.MEASUREMENTS),
        "constellation/measurements.json.sig": image.read(ImageFile.SIGNATURE),
    }
    other = FakeImage(command_line="init=/bin/sh").uki()
    image.place(ImageFile.DISK).write_bytes(FakeDisk(other, esp).build())
    assert inspect(image.place(ImageFile.DISK), [public_pem(KEY)]).differing == ("4", "9", "11")


def test_a_kernel_image_alone_is_recognised(image: ImageFolder) -> None:
    record = inspect(image.place(ImageFile.UKI)).to_mapping()
    assert (record["kind"], record["disk"]) == ("unified kernel image", None)


def test_who_signed_is_found_among_those_we_know(image: ImageFolder) -> None:
    image.place(ImageFile.PUBLIC_KEY).write_bytes(public_pem(OTHER_KEY))
    found = inspect(image.path, [public_pem(OTHER_KEY), public_pem(KEY)])
    assert found.signed is not None
    assert found.signed.key == fingerprint(public_pem(KEY))


def test_measurements_that_nobody_signed_are_not_read(image: ImageFolder) -> None:
    document = image.read(ImageFile.MEASUREMENTS).replace(b"0.1.0", b"6.6.6")
    image.place(ImageFile.MEASUREMENTS).write_bytes(document)
    record = inspect(image.path).to_mapping()
    assert record["measurements"] == {
        "signed_by": "",
        "differing": [],
        "image": "",
        "variant": "",
        "registers": {},
        "launch_digests": [],
    }


def test_the_version_of_a_kernel_that_says_it_itself() -> None:
    setup = bytearray(PARTS[".linux"].ljust(0x1000, b"\0"))
    setup[0x202:0x206] = b"HdrS"
    setup[0x20E:0x210] = (0x800).to_bytes(2, "little")
    setup[0xA00:0xA20] = b"6.12.57+deb13-amd64 (debian) #1\0"
    sections = {**PARTS, ".linux": bytes(setup)}
    del sections[".uname"]
    assert read_kernel_image(FakeUki(sections=sections).build()).kernel == "6.12.57+deb13-amd64"


@pytest.mark.parametrize("name, words", [("empty", "is empty"), ("nowhere", "cannot be read")])
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(NodeImageError, match=words):
        inspect(tmp_path / name)


def test_another_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownImageError, match="expected the folder of an image"):
        inspect(tmp_path)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"hello" * 1000, "expected 'EFI PART' in sector 1"),
        (b"MZ" + bytes(2000), "PE executable"),
        (FakeDisk(b"no kernel").build(), "the file begins with b'no'"),
        (FakeDisk(FakeImage().uki()).build()[:-100], "the disk is truncated"),
    ],
    ids=["text", "executable", "a disk that starts nothing", "truncated"],
)
def test_something_else_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(MalformedError, match=words):
        inspect(tmp_path / "file")


@settings(max_examples=50)
@given(st.data())
def test_a_damaged_disk_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.raw"
    disk = bytearray(DISK)
    places = st.sampled_from([0, 512, 1024, 2048 * 512, 2048 * 512 + 512, 2048 * 512 + 17408, 2048 * 512 + 33792])
    place = data.draw(places) + data.draw(st.integers(0, 511))
    change = data.draw(st.binary(min_size=1, max_size=16))
    disk[place : place + len(change)] = change
    file.write_bytes(disk)
    with suppress(MalformedError, PredictionError, NodeImageError):
        assert inspect(file).kind is Kind.DISK


DISK = FakeDisk(FakeImage().uki()).build()
