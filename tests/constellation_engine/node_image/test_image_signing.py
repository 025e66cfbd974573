# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The key that signs images: made once, kept to ourselves, and checked by other people's programs."""

from __future__ import annotations

import base64
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from attestation.errors import MalformedError, NotGenuineError
from constellation_core.errors import SecretFileError
from constellation_core.image_manifest import sign
from constellation_engine.errors import ImageKeyError, NodeImageError
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.signing import (
    default_key_path,
    fingerprint,
    load_key,
    load_or_create_key,
    public_pem,
    read_public_key,
    sign_file,
    sign_image,
)
from constellation_engine.testing.node_images import KEY, OTHER_KEY, FakeImage

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_engine.node_image.image_folder import ImageFolder


def pem_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, *, passphrase: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def test_the_key_is_made_once_and_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "constellation" / "image.key"
    first = load_or_create_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    assert public_pem(load_or_create_key(path)) == public_pem(first)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "image.key"
    load_or_create_key(path)
    path.chmod(mode)
    with pytest.raises(SecretFileError, match=f"expected mode 0600, got {mode:04o}"):
        load_or_create_key(path)


def test_a_dangling_link_in_the_place_of_the_key_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "image.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SecretFileError, match="cannot read"):
        load_or_create_key(tmp_path / "image.key")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SecretFileError, match="cannot write"):
        load_or_create_key(tmp_path / "file" / "image.key")


@pytest.mark.parametrize(
    "content",
    [
        b"no key",
        pem_of(ec.generate_private_key(ec.SECP384R1())),
        pem_of(ed25519.Ed25519PrivateKey.generate()),
        pem_of(KEY, passphrase=b"secret"),
        public_pem(KEY),
    ],
    ids=["text", "P-384", "Ed25519", "passphrase", "public"],
)
def test_another_kind_of_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(ImageKeyError, match="expected an ECDSA P-256 key"):
        load_key(path)


@pytest.mark.parametrize(
    "environment, expected",
    [({"XDG_CONFIG_HOME": "/xdg"}, "/xdg/constellation/image.key"), ({}, "/.config/constellation/image.key")],
)
def test_the_place_of_the_key(environment: dict[str, str], expected: str) -> None:
    assert str(default_key_path(environment)).endswith(expected)


def test_the_same_document_and_key_give_the_same_signature() -> None:
    document = FakeImage().manifest().to_document()
    assert sign(document, KEY) == sign(document, KEY)


def test_what_is_no_manifest_is_not_signed(tmp_path: Path) -> None:
    (tmp_path / "measurements.json").write_text("{}")
    with pytest.raises(MalformedError):
        sign_file(tmp_path / "measurements.json", KEY)
    assert [one.name for one in tmp_path.iterdir()] == ["measurements.json"]


def test_an_image_is_signed_by_the_key_it_was_built_with(image: ImageFolder) -> None:
    image.place(ImageFile.SIGNATURE).unlink()
    assert sign_image(image, KEY) == image.place(ImageFile.SIGNATURE)
    assert image.read_signed().verify(public_pem(KEY)).image == "constellation-node 0.1.0"


def test_an_image_is_not_signed_by_another_key(image: ImageFolder) -> None:
    before = image.read(ImageFile.SIGNATURE)
    with pytest.raises(ImageKeyError, match="that the image was built with"):
        sign_image(image, OTHER_KEY)
    assert image.read(ImageFile.SIGNATURE) == before


def test_a_failed_check_is_an_error_and_no_warning(image: ImageFolder) -> None:
    with pytest.raises(NotGenuineError, match="a signature by the image key"):
        image.read_signed().verify(public_pem(OTHER_KEY))


def test_an_image_gives_the_policy_of_its_machines(image: ImageFolder) -> None:
    assert image.policy() == image.read_manifest().policy({})
    assert image.read_manifest().image == "constellation-node 0.1.0"


def test_an_image_whose_signature_does_not_hold_gives_none(image: ImageFolder) -> None:
    image.place(ImageFile.PUBLIC_KEY).write_bytes(public_pem(OTHER_KEY))
    with pytest.raises(NotGenuineError, match="a signature by the image key"):
        image.policy()


def test_a_public_key_is_read_from_either_half(tmp_path: Path) -> None:
    key = load_or_create_key(tmp_path / "image.key")
    (tmp_path / "image.pub").write_bytes(public_pem(key))
    assert read_public_key(tmp_path / "image.key") == read_public_key(tmp_path / "image.pub")


@pytest.mark.parametrize("content, error", [(b"", NodeImageError), (b"no key", ImageKeyError)])
def test_what_is_no_public_key_is_told(tmp_path: Path, content: bytes, error: type[Exception]) -> None:
    (tmp_path / "image.pub").write_bytes(content)
    with pytest.raises(error, match=r"image\.pub"):
        read_public_key(tmp_path / "image.pub")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_a_fingerprint_is_that_of_openssl(tmp_path: Path) -> None:
    (tmp_path / "image.pub").write_bytes(public_pem(KEY))
    command = f"openssl pkey -pubin -in {tmp_path}/image.pub -outform DER | openssl dgst -sha256 -r"
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == fingerprint(public_pem(KEY))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
@pytest.mark.parametrize("change, status", [(b"", 0), (b" ", 1)], ids=["as it is", "changed"])
def test_openssl_checks_a_signature(image: ImageFolder, tmp_path: Path, change: bytes, status: int) -> None:
    (tmp_path / "document").write_bytes(image.read(ImageFile.MEASUREMENTS) + change)
    (tmp_path / "signature").write_bytes(base64.b64decode(image.read(ImageFile.SIGNATURE)))
    key = str(image.place(ImageFile.PUBLIC_KEY))
    command = [
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        key,
        "-signature",
        f"{tmp_path}/signature",
        f"{tmp_path}/document",
    ]
    assert subprocess.run(command, capture_output=True, check=False).returncode == status
