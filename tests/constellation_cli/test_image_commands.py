# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation image`: sign, verify, list, inspect, diff, upload; what they print, and how they end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from attestation.variant import Variant
from constellation_cli.errors import ExitStatus
from constellation_cli.image.transfer import Lines
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.signing import fingerprint, public_pem
from constellation_engine.testing.image_service import running
from constellation_engine.testing.node_images import BUILD, KEY, OTHER_KEY, FakeImage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec
    from typer.testing import Result

    from constellation_engine.node_image.image_folder import ImageFolder


@pytest.fixture
def image(tmp_path: Path) -> ImageFolder:
    """A sound image."""
    return FakeImage().write(tmp_path / "images" / "node")


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own configuration: no key yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def keep(key: ec.EllipticCurvePrivateKey, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


@pytest.fixture
def own_key(config: Path) -> Path:
    """The user is the one who built the image."""
    return keep(KEY, config / "constellation" / "image.key")


class TestSign:
    @pytest.mark.usefixtures("own_key")
    def test_an_image_is_signed_by_the_users_key(
        self, constellation: Callable[..., Result], image: ImageFolder
    ) -> None:
        image.place(ImageFile.SIGNATURE).unlink()
        result = constellation("image", "sign", image.path)
        assert (result.exit_code, result.stdout) == (0, f"{image.place(ImageFile.SIGNATURE)}\n")
        assert fingerprint(public_pem(KEY)) in result.stderr
        assert constellation("image", "verify", image.path).exit_code == 0

    def test_the_first_signature_makes_the_key(
        self, constellation: Callable[..., Result], tmp_path: Path, config: Path
    ) -> None:
        (tmp_path / "measurements.json").write_bytes(FakeImage().manifest().to_document())
        assert constellation("image", "sign", tmp_path / "measurements.json").exit_code == 0
        assert (config / "constellation" / "image.key").stat().st_mode & 0o777 == 0o600

    def test_another_key_than_that_of_the_image_is_refused(
        self, constellation: Callable[..., Result], image: ImageFolder, tmp_path: Path
    ) -> None:
        result = constellation("image", "sign", "--key", keep(OTHER_KEY, tmp_path / "key"), image.path)
        assert (result.exit_code, result.stdout) == (ExitStatus.FAILED, "")
        assert "that the image was built with" in result.stderr

    def test_a_key_that_is_named_is_not_made(
        self, constellation: Callable[..., Result], image: ImageFolder, tmp_path: Path
    ) -> None:
        result = constellation("image", "sign", "--key", tmp_path / "nowhere", image.path)
        assert result.exit_code == ExitStatus.FAILED
        assert not (tmp_path / "nowhere").exists()

    def test_a_key_that_others_may_read_is_refused(
        self, constellation: Callable[..., Result], image: ImageFolder, own_key: Path
    ) -> None:
        own_key.chmod(0o644)
        result = constellation("image", "sign", image.path)
        assert result.exit_code == ExitStatus.FAILED
        assert "expected mode 0600, got 0644" in result.stderr


class TestVerify:
    def test_an_image_of_the_key_that_is_named_is_accepted(
        self, constellation: Callable[..., Result], image: ImageFolder
    ) -> None:
        result = constellation("image", "verify", "--key", image.place(ImageFile.PUBLIC_KEY), image.path)
        assert result.exit_code == 0
        assert "verdict  accepted\n" in result.stdout

    def test_without_any_key_nothing_can_be_said(
        self, constellation: Callable[..., Result], image: ImageFolder
    ) -> None:
        result = constellation("image", "verify", image.path)
        assert (result.exit_code, result.stdout) == (ExitStatus.USAGE, "")
        assert "--key" in result.stderr

    @pytest.mark.usefixtures("own_key")
    def test_tampered_measurements_are_refused(self, constellation: Callable[..., Result], image: ImageFolder) -> None:
        place = image.place(ImageFile.MEASUREMENTS)
        place.write_bytes(place.read_bytes().replace(b"true", b"false", 1))
        result = constellation("image", "verify", "-o", "json", image.path)
        record = json.loads(result.stdout)
        assert result.exit_code == ExitStatus.REFUSED
        assert (record["accepted"], record["image"]) == (False, "")
        assert record["mismatches"][0]["name"] == "image.signature"

    def test_the_wrong_key_is_refused(
        self, constellation: Callable[..., Result], image: ImageFolder, tmp_path: Path
    ) -> None:
        (tmp_path / "other.pub").write_bytes(public_pem(OTHER_KEY))
        result = constellation("image", "verify", "--key", tmp_path / "other.pub", image.path)
        assert result.exit_code == ExitStatus.REFUSED
        assert "image.signature" in result.stdout

    @pytest.mark.usefixtures("own_key")
    def test_what_is_no_image_is_told(self, constellation: Callable[..., Result], tmp_path: Path) -> None:
        result = constellation("image", "verify", tmp_path)
        assert (result.exit_code, result.stdout) == (ExitStatus.FAILED, "")
        assert "expected the folder of an image" in result.stderr


class TestList:
    def test_images_are_listed(self, constellation: Callable[..., Result], image: ImageFolder) -> None:
        result = constellation("image", "list", "--images", image.path.parent, "-o", "json")
        (entry,) = json.loads(result.stdout)["images"]
        assert (entry["image_version"], entry["variant"], entry["where"]) == ("0.1.0", "qemu-vtpm", str(image.path))
        assert "constellation-node  0.1.0" in constellation("image", "list", "--images", image.path.parent).stdout

    def test_a_damaged_image_is_listed_with_the_reason(
        self, constellation: Callable[..., Result], image: ImageFolder
    ) -> None:
        image.place(ImageFile.BUILD).write_text("{")
        result = constellation("image", "list", "--images", image.path.parent)
        assert result.exit_code == 0
        assert "build record is not JSON" in result.stdout

    def test_no_images_are_no_error(
        self, constellation: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CONSTELLATION_IMAGES", str(tmp_path / "nowhere"))
        assert constellation("image", "list").stdout == "no images here\n"


class TestInspect:
    def test_everything_is_shown(self, constellation: Callable[..., Result], image: ImageFolder) -> None:
        result = constellation("image", "inspect", image.path)
        assert result.exit_code == 0
        for words in ("root-verity", "rd.shell=0", "257.13-1~deb13u1", fingerprint(public_pem(KEY)), "accepted"):
            assert words in result.stdout
        assert "to know who built it, name a key" in result.stdout

    @pytest.mark.parametrize("file", [ImageFile.DISK, ImageFile.UKI])
    def test_a_part_is_shown(self, constellation: Callable[..., Result], image: ImageFolder, file: ImageFile) -> None:
        record = json.loads(constellation("image", "inspect", "-o", "json", image.place(file)).stdout)
        assert record["uki"]["kernel"] == "6.12.0-fake"
        assert record["verdict"] is None

    def test_a_kernel_that_was_not_measured_is_refused(
        self, constellation: Callable[..., Result], image: ImageFolder
    ) -> None:
        image.place(ImageFile.UKI).write_bytes(replace(FakeImage(), command_line="init=/bin/sh").uki())
        result = constellation("image", "inspect", image.path)
        assert result.exit_code == ExitStatus.REFUSED
        assert "measurements.9" in result.stdout

    def test_a_disk_that_nobody_whom_we_know_signed_is_refused(
        self, constellation: Callable[..., Result], image: ImageFolder, tmp_path: Path
    ) -> None:
        for key, status in ((KEY, 0), (OTHER_KEY, ExitStatus.REFUSED)):
            (tmp_path / "key.pub").write_bytes(public_pem(key))
            result = constellation("image", "inspect", "--key", tmp_path / "key.pub", image.place(ImageFile.DISK))
            assert result.exit_code == status
        assert "measurements signed by      nobody whom we know" in result.stdout

    def test_something_else_is_told(self, constellation: Callable[..., Result], tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("Dear reader," * 100)
        result = constellation("image", "inspect", tmp_path / "letter.txt")
        assert (result.exit_code, result.stdout) == (ExitStatus.FAILED, "")
        assert "is it the raw disk of a node image?" in result.stderr


class TestDiff:
    def test_the_same_image(self, constellation: Callable[..., Result], image: ImageFolder) -> None:
        result = constellation("image", "diff", image.path, image.path)
        assert (result.exit_code, result.stdout) == (0, "no difference\n")

    def test_another_image(self, constellation: Callable[..., Result], image: ImageFolder, tmp_path: Path) -> None:
        other = FakeImage(root=b"another", build=replace(BUILD, version="0.2.0")).write(tmp_path / "other")
        result = constellation("image", "diff", image.path, other.path)
        assert result.exit_code == ExitStatus.REFUSED
        assert "image  version  changed  0.1.0   0.2.0\n" in result.stdout
        assert "9         command line" in result.stdout
        record = json.loads(constellation("image", "diff", "-o", "json", image.path, other.path).stdout)
        assert [one["register"] for one in record["registers"]] == [4, 9, 11]


class TestUpload:
    @pytest.mark.usefixtures("own_key")
    def test_a_copy_is_made_and_noted(
        self, constellation: Callable[..., Result], image: ImageFolder, tmp_path: Path
    ) -> None:
        words = (f"file:{tmp_path}/there", "--catalogue", tmp_path / "catalogue.json")
        for _ in range(2):
            result = constellation("image", "upload", image.path, *words)
            assert result.exit_code == 0
        place = tmp_path / "there/constellation-node-0.1.0-qemu-release/node.raw"
        assert result.stdout == f"{place}\n"
        listed = constellation("image", "list", "--catalogue", tmp_path / "catalogue.json").stdout
        assert f"file:{place}" in listed

    @pytest.mark.usefixtures("own_key")
    def test_an_image_that_is_not_accepted_is_not_sent(
        self, constellation: Callable[..., Result], image: ImageFolder, tmp_path: Path
    ) -> None:
        image.place(ImageFile.SIGNATURE).write_text("MEUC")
        result = constellation("image", "upload", image.path, f"file:{tmp_path}/there")
        assert result.exit_code == ExitStatus.REFUSED
        assert not (tmp_path / "there").exists()

    @pytest.mark.usefixtures("own_key")
    def test_an_image_for_something_else_does_not_go_into_a_cloud(
        self, constellation: Callable[..., Result], image: ImageFolder
    ) -> None:
        result = constellation("image", "upload", image.path, "openstack:cloud")
        assert result.exit_code == ExitStatus.FAILED
        assert "expected an image for openstack-vtpm" in result.stderr

    @pytest.mark.usefixtures("own_key")
    @pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
    def test_an_image_goes_into_the_cloud_of_the_environment(
        self, constellation: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        build = replace(BUILD, variant=Variant.OPENSTACK_VTPM, target="openstack-vtpm")
        image = FakeImage(build=build).write(tmp_path / "image")
        with running() as service:
            monkeypatch.setenv("OS_AUTH_TYPE", "none")
            monkeypatch.setenv("OS_ENDPOINT", service.url)
            result = constellation("image", "upload", image.path, "openstack:", "-o", "json")
        assert result.exit_code == 0
        (stored,) = service.images.values()
        assert json.loads(result.stdout)["place"]["location"] == stored["id"]
        assert stored["status"] == "active"

    @pytest.mark.parametrize("destination", ["there", "file:", "ftp:there", ""])
    def test_an_unknown_destination_is_a_wrong_command_line(
        self, constellation: Callable[..., Result], image: ImageFolder, destination: str
    ) -> None:
        result = constellation("image", "upload", image.path, destination)
        assert result.exit_code == ExitStatus.USAGE
        assert "expected file:FOLDER or openstack:CLOUD" in result.stderr


def test_predict_takes_the_folder_of_an_image(constellation: Callable[..., Result], image: ImageFolder) -> None:
    folder, file = (
        constellation("image", "predict", "-o", "json", place).stdout
        for place in (image.path, image.place(ImageFile.UKI))
    )
    assert json.loads(folder) == json.loads(file)


def test_a_transfer_says_little(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    lines = Lines("upload", lambda: now[0])
    for second in range(30):
        now[0] = float(second)
        lines.tell("sending", second << 20, 100 << 20)
    assert capsys.readouterr().err == "".join(f"upload: sending: {done} of 100 MiB\n" for done in (2, 12, 22))
