# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Every way in which an image can be another than the signed one is refused, by name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attestation.testing.uki import PARTS, FakeUki, build_executable
from attestation.variant import Variant
from constellation_core.image_manifest import sign
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.signing import public_pem
from constellation_engine.node_image.verification import verify_image
from constellation_engine.testing.node_disk import BLOCK, ROOT, FakeDisk
from constellation_engine.testing.node_images import BUILD, KEY, OTHER_KEY, PACKAGES, FakeImage

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder


def refusals(image: ImageFolder, pem: bytes = public_pem(KEY)) -> dict[str, str]:
    return {one.name: str(one) for one in verify_image(image, pem).mismatches}


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_a_sound_image_is_accepted(image: ImageFolder) -> None:
    verdict = verify_image(image, public_pem(KEY))
    assert verdict.mismatches == ()
    assert (verdict.is_accepted, verdict.image) == (True, "constellation-node 0.1.0")


def test_the_key_of_somebody_else_is_refused(image: ImageFolder) -> None:
    assert set(refusals(image, public_pem(OTHER_KEY))) == {"image.signature", "image.pub"}


def test_measurements_that_were_changed_are_refused(image: ImageFolder) -> None:
    flip(image.place(ImageFile.MEASUREMENTS), 40)
    assert set(refusals(image)) == {"image.signature", "esp.constellation/measurements.json"}


@pytest.mark.parametrize("file", [file for file in ImageFile if file not in ("vmlinuz", "initrd", "cmdline")])
def test_a_missing_file_is_named(image: ImageFolder, file: ImageFile) -> None:
    image.place(file).unlink()
    assert any(f"expected {file}, is not there" in reason for reason in refusals(image).values())


@pytest.mark.parametrize("file", [file for file in ImageFile if file not in ("vmlinuz", "initrd", "cmdline")])
def test_an_empty_file_is_refused(image: ImageFolder, file: ImageFile) -> None:
    image.place(file).write_bytes(b"")
    assert refusals(image)


def test_measurements_of_another_kernel_image_are_refused_by_register(tmp_path: Path) -> None:
    image = FakeImage().write(tmp_path / "image")
    other = replace(FakeImage(), command_line="console=ttyS0 init=/bin/sh")
    image.place(ImageFile.UKI).write_bytes(other.uki())
    found = refusals(image)
    assert {"measurements.4", "measurements.9", "measurements.11", "esp.EFI/BOOT/BOOTX64.EFI"} <= set(found)
    assert "measurements.12" not in found


def test_a_signed_manifest_that_leaves_a_register_out_is_refused(tmp_path: Path) -> None:
    image = FakeImage().write(tmp_path / "image")
    manifest = FakeImage().manifest()
    less = {name: one for name, one in manifest.measurements.items() if name != "9"}
    signed = sign(replace(manifest, measurements=less).to_document(), KEY)
    image.place(ImageFile.MEASUREMENTS).write_bytes(signed.document)
    image.place(ImageFile.SIGNATURE).write_text(signed.signature_text)
    assert refusals(image)["measurements.9"].startswith("measurements.9: expected none, got")


def test_a_disk_that_starts_another_kernel_image_is_refused(image: ImageFolder) -> None:
    other = replace(FakeImage(), command_line="console=ttyS0 init=/bin/sh").uki()
    image.place(ImageFile.DISK).write_bytes(FakeDisk(other).build())
    assert "esp.EFI/BOOT/BOOTX64.EFI" in refusals(image)


@pytest.mark.parametrize(
    "path", ["EFI/BOOT/BOOTX64.EFI.extra.d/a.addon.efi", "loader/addons/a.addon.efi", "loader/credentials/x.cred"]
)
def test_a_file_that_the_stub_would_load_is_refused(tmp_path: Path, path: str) -> None:
    image = FakeImage(esp={path: b"12345"}).write(tmp_path / "image")
    assert refusals(image) == {f"esp.{path}": f"esp.{path}: expected nothing, got a file of 5 bytes"}


def test_other_measurements_in_the_esp_are_refused(tmp_path: Path) -> None:
    image = FakeImage(esp={"constellation/measurements.json": b"{}"}).write(tmp_path / "image")
    assert set(refusals(image)) == {"esp.constellation/measurements.json"}


def test_an_esp_without_measurements_is_refused(tmp_path: Path) -> None:
    image = FakeImage().write(tmp_path / "image")
    image.place(ImageFile.DISK).write_bytes(FakeDisk(FakeImage().uki()).build())
    assert set(refusals(image)) == {"esp.constellation/measurements.json", "esp.constellation/measurements.json.sig"}


def test_a_partition_too_many_is_refused(image: ImageFolder) -> None:
    esp = {
        "constellation/measurements.json": image.read(ImageFile.MEASUREMENTS),
        "constellation/measurements.json.sig": image.read(ImageFile.SIGNATURE),
    }
    disk = FakeDisk(FakeImage().uki(), esp, more={UUID(int=7): "extra"})
    image.place(ImageFile.DISK).write_bytes(disk.build())
    assert set(refusals(image)) == {"disk.extra"}


def test_one_changed_bit_of_the_root_is_found(image: ImageFolder) -> None:
    disk = image.place(ImageFile.DISK)
    root = disk.read_bytes().index(b"a root that is no file system")
    flip(disk, root + 5000)
    assert "block 1 was changed, and 0 more" in refusals(image)["root"]


def test_another_root_with_its_own_hashes_is_refused(image: ImageFolder) -> None:
    files = {name: image.read(file) for name, file in (
        ("constellation/measurements.json", ImageFile.MEASUREMENTS),
        ("constellation/measurements.json.sig", ImageFile.SIGNATURE),
    )}  # fmt: skip
    image.place(ImageFile.DISK).write_bytes(FakeDisk(FakeImage().uki(), files, b"another root").build())
    assert set(refusals(image)) == {"root"}


def test_a_disk_that_was_cut_off_is_refused(image: ImageFolder) -> None:
    disk = image.place(ImageFile.DISK)
    disk.write_bytes(disk.read_bytes()[:-1024])
    assert "the disk is truncated" in refusals(image)["disk"]


def test_a_kernel_for_firmware_must_be_the_one_of_the_image(image: ImageFolder) -> None:
    image.place(ImageFile.KERNEL).write_bytes(PARTS[".linux"])
    image.place(ImageFile.INITRD).write_bytes(PARTS[".initrd"])
    assert refusals(image) == {}
    image.place(ImageFile.KERNEL).write_bytes(b"another")
    image.place(ImageFile.COMMAND_LINE).write_bytes(b"roothash=00")
    assert set(refusals(image)) == {"vmlinuz", "cmdline.roothash"}


def test_a_kernel_image_that_cannot_be_predicted_is_refused(image: ImageFolder) -> None:
    image.place(ImageFile.UKI).write_bytes(FakeUki(stub_version="258").build())
    assert "systemd-stub 258" in refusals(image)["uki"]


def test_no_kernel_image_at_all_is_refused(image: ImageFolder) -> None:
    image.place(ImageFile.UKI).write_bytes(build_executable({".text": b"hello"}))
    assert "has no section .linux" in refusals(image)["uki"]


def test_records_that_say_something_else_are_refused(image: ImageFolder) -> None:
    image.place(ImageFile.BUILD).write_bytes(replace(BUILD, variant=Variant.OPENSTACK_VTPM).to_document())
    image.place(ImageFile.PACKAGES).write_bytes(replace(PACKAGES, components=()).to_document())
    assert set(refusals(image)) == {"variant", "components"}


@pytest.mark.parametrize("file", [ImageFile.BUILD, ImageFile.PACKAGES, ImageFile.SBOM])
def test_a_record_of_another_version_is_refused(image: ImageFolder, file: ImageFile) -> None:
    record = json.loads(image.read(file))
    record["spdxVersion" if file is ImageFile.SBOM else "version"] = 2
    image.place(file).write_text(json.dumps(record))
    assert set(refusals(image)) == {file.value}


def test_an_image_with_a_shell_is_accepted_with_a_warning(tmp_path: Path) -> None:
    build = replace(BUILD, profile="debug")
    image = FakeImage(build=build, command_line="constellation.debug").write(tmp_path / "image")
    verdict = verify_image(image, public_pem(KEY))
    assert verdict.is_accepted
    assert verdict.warnings == ("it has a shell for whoever is at its console: give such nodes no secrets",)


@pytest.mark.parametrize("profile, line", [("release", "constellation.debug"), ("debug", "quiet")])
def test_a_profile_that_is_not_that_of_the_command_line_is_refused(tmp_path: Path, profile: str, line: str) -> None:
    image = FakeImage(build=replace(BUILD, profile=profile), command_line=line).write(tmp_path / "image")
    assert set(refusals(image)) == {"profile"}


PROTECTED = (ImageFile.UKI, ImageFile.MEASUREMENTS, ImageFile.SIGNATURE)
OTHERS = (ImageFile.DISK, ImageFile.PUBLIC_KEY, ImageFile.PACKAGES, ImageFile.SBOM, ImageFile.BUILD)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from((*PROTECTED, *OTHERS)), st.integers(0, 1 << 30), st.integers(1, 255) | st.none())
def test_any_damage_is_a_reason_and_never_an_accident(
    image: ImageFolder, file: ImageFile, place: int, change: int | None
) -> None:
    content = image.read(file)
    damaged = bytearray(content)
    if change is None:
        del damaged[place % len(damaged) :]
    else:
        damaged[place % len(damaged)] ^= change
    image.place(file).write_bytes(damaged)
    try:
        found = refusals(image)
        assert found or file in OTHERS
    finally:
        image.place(file).write_bytes(content)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(ROOT) - 1), st.integers(1, 255))
def test_any_changed_byte_of_the_root_is_found(image: ImageFolder, place: int, change: int) -> None:
    with image.place(ImageFile.DISK).open("r+b") as disk:
        start = disk.read().index(ROOT[:100])
        disk.seek(start + place)
        disk.write(bytes([ROOT[place] ^ change]))
        try:
            disk.flush()
            assert f"block {place // BLOCK} was changed" in refusals(image)["root"]
        finally:
            disk.seek(start + place)
            disk.write(ROOT[place : place + 1])


def test_every_reason_is_listed(image: ImageFolder) -> None:
    image.place(ImageFile.SBOM).unlink()
    image.place(ImageFile.DISK).unlink()
    assert set(refusals(image, public_pem(OTHER_KEY))) == {"image.signature", "image.pub", "disk", "sbom.spdx.json"}
