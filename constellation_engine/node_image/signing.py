# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The key that signs images: ECDSA P-256, made once, kept at `$XDG_CONFIG_HOME/constellation/image.key`.

Its public half is part of every image, so that nodes believe what the same builder says of other images. Signatures are
deterministic (RFC 6979): a signature lies inside the disk, and two builds are the same to the last bit. `cosign
verify-blob --key image.pub --signature measurements.json.sig measurements.json` checks one, and so does `openssl dgst`.

While one key takes another's place (`key_rotation`) the other one lies beside it, and images get both public halves.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from constellation_core.errors import ConfigError, SecretFileError
from constellation_core.image_manifest import MAX_SIZE, image_keys, sign
from constellation_core.keys.secret import Secret
from constellation_core.keys.secret_file import create_secret_file, read_secret_file
from constellation_engine.errors import ImageKeyError, NodeImageError
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder, read_bounded
from constellation_engine.user_folders import config_folder
from constellation_engine.whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

KEY_NAME: Final = "image.key"
_WANTED: Final = "an ECDSA P-256 key in PEM, without a passphrase"
_MAKE_ONE: Final = "openssl ecparam -name prime256v1 -genkey -noout makes one"


def default_key_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Give the place of the key."""
    return config_folder(environment) / KEY_NAME


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read the key.

    Raises:
        SecretFileError: others may read the file, or it cannot be read.
        ImageKeyError: it holds no such key.
    """
    try:
        key = load_pem_private_key(read_secret_file(path).reveal(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a passphrase
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ImageKeyError(f"{path}: expected {_WANTED}, got something else", hint=_MAKE_ONE)
    return key


def load_or_create_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read the key, or make it where there is none; one that is there is never replaced.

    Raises:
        SecretFileError: as `load_key`, or it cannot be written.
        ImageKeyError: as `load_key`.
    """
    if not os.path.lexists(path):
        key = ec.generate_private_key(ec.SECP256R1())
        content = Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            create_secret_file(path, content)
        except (OSError, SecretFileError):
            if not os.path.lexists(path):  # else somebody was faster: theirs is the key
                raise SecretFileError(
                    f"cannot write {path}", hint="name a key in a folder of yours: --key FILE"
                ) from None
    return load_key(path)


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Give the public half as it is in images, PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def next_place(path: Path) -> Path:
    """Give the place of the key that will take another's place."""
    return path.with_name(f"{path.name}.next")


def previous_place(path: Path) -> Path:
    """Give the place of the key whose place another took."""
    return path.with_name(f"{path.name}.previous")


def trusted_keys(path: Path) -> bytes:
    """Give whose signatures the images of a key's owner believe, PEM: the key's, and one that comes or goes.

    Raises:
        SecretFileError: as `load_key`.
        ImageKeyError: as `load_key`.
    """
    others = (place for place in (next_place(path), previous_place(path)) if os.path.lexists(place))
    return b"".join(dict.fromkeys(public_pem(load_key(place)) for place in (path, *others)))


def read_public_key(path: Path) -> bytes:
    """Read public keys, PEM; of a private key its public half, and that of one that comes or goes.

    Raises:
        NodeImageError: the file cannot be read.
        SecretFileError: it holds a private key that others may read.
        ImageKeyError: it holds no such key.
    """
    pem = read_bounded(path, MAX_SIZE)
    if b"PRIVATE KEY" in pem:
        return trusted_keys(path)
    fingerprints(pem, str(path))
    return pem


def fingerprints(pem: bytes, source: str = "image key") -> tuple[str, ...]:
    """Give the SHA-256 of public keys (of their SubjectPublicKeyInfo, DER), hexadecimal: what people compare.

    Args:
        pem: the keys.
        source: where they are from, for messages.

    Raises:
        ImageKeyError: one is no such key.
    """
    try:
        keys = image_keys(pem)
    except ConfigError:
        raise ImageKeyError(
            f"{source}: expected the public half of {_WANTED}, got something else", hint=_MAKE_ONE
        ) from None
    encoded = (key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in keys)
    return tuple(hashlib.sha256(one).hexdigest() for one in encoded)


def fingerprint(pem: bytes, source: str = "image key") -> str:
    """Give the fingerprint of a public key; of several all, with commas. See `fingerprints`.

    Raises:
        ImageKeyError: it is no such key.
    """
    return ", ".join(fingerprints(pem, source))


def joined_keys(images: Iterable[bytes]) -> bytes:
    """Give the keys by which images of one cluster are judged, PEM: all that their nodes believe.

    Args:
        images: of each image whom its nodes believe, PEM.

    Raises:
        ImageKeyError: one is no such key, or nodes of two images have none in common: they would refuse each other.
    """
    keys: dict[str, bytes] = {}
    seen: list[set[str]] = []
    for pem in images:
        names = fingerprints(pem)
        if any(before.isdisjoint(names) for before in seen):
            raise ImageKeyError(
                "expected images whose nodes believe one key in common, got images of several builders",
                hint="a key is rotated stage by stage, and images of neighbouring stages believe each other",
            )
        seen.append(set(names))
        for name, key in zip(names, image_keys(pem), strict=True):
            keys.setdefault(name, key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return b"".join(keys.values())


def sign_file(measurements: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    """Sign a file `measurements.json`, and put the signature beside it.

    Returns:
        Where the signature is.

    Raises:
        NodeImageError: a file cannot be read or written.
        MalformedError: the document is no image manifest.
    """
    signed = sign(read_bounded(measurements, MAX_SIZE), key)
    target = measurements.with_name(f"{measurements.name}.sig")
    try:
        with whole_file(target, mode=0o644) as draft:
            draft.write_text(f"{signed.signature_text}\n", encoding="ascii")
    except OSError as error:
        raise NodeImageError(f"{target} cannot be written: {error.strerror}") from None
    return target


def sign_image(folder: ImageFolder, key: ec.EllipticCurvePrivateKey) -> Path:
    """Sign what an image measures, with the key that the image was built with.

    Returns:
        Where the signature is.

    Raises:
        ImageKeyError: as `check_signer`.
        NodeImageError: a file is missing, or cannot be written.
        MalformedError: `measurements.json` is no image manifest.
    """
    check_signer(folder, key)
    return sign_file(folder.require(ImageFile.MEASUREMENTS), key)


def check_signer(folder: ImageFolder, key: ec.EllipticCurvePrivateKey) -> None:
    """See that nodes of an image believe a key.

    Raises:
        ImageKeyError: they believe another one, which is in their measured root.
        NodeImageError: nothing says whom they believe.
    """
    ours = fingerprint(public_pem(key))
    theirs = fingerprints(folder.read(ImageFile.PUBLIC_KEY), str(folder.place(ImageFile.PUBLIC_KEY)))
    if ours not in theirs:
        built_with = " or ".join(f"{one[:16]}…" for one in theirs)
        raise ImageKeyError(
            f"{folder.path}: expected the key {built_with} that the image was built with, got {ours[:16]}…",
            hint="name that key by --key, or build the image anew: its nodes believe no other",
        )
