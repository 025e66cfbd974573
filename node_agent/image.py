# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The image that this node booted: facts in the measured root, and the signed manifest on the ESP.

    {"version": 1, "name": "constellation", "image_version": "1.0.0", "variant": "qemu-vtpm", "profile": "release",
     "kubernetes": "v1.36.4"}

The facts are measured, so they are true. The manifest is not: its signature says whose word it is.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from attestation.errors import AttestationError
from attestation.strict_json import load_object
from attestation.variant import Variant
from constellation_core.fields import Fields
from node_agent.errors import PermanentError
from node_agent.files import write_public
from node_agent.media import opened, read_file

if TYPE_CHECKING:
    from pathlib import Path

    from constellation_core.image_manifest import ImageManifest, SignedManifest

FACTS_VERSION: Final = 1
FACTS: Final = "image.json"
PUBLIC_KEY: Final = "image.pub"
MANIFEST: Final = "measurements.json"
SIGNATURE: Final = "measurements.json.sig"
FOLDER: Final = "constellation"  # on the ESP

_MAX_FACTS: Final = 4096  # bytes
_MAX_SIGNATURE: Final = 1024
_KNOWN: Final = ("version", "name", "image_version", "variant", "profile", "kubernetes")
_TEXT: Final = re.compile(r"[!-~]([ -~]{0,62}[!-~])?")
_VARIANT: Final = re.compile("|".join(variant.value for variant in Variant))


class Profile(StrEnum):
    """What kind of image it is."""

    RELEASE = "release"
    EMERGENCY = "emergency-access"  # people may log in with certificates of the cluster
    DEBUG = "debug"  # a shell on the console: not for secrets


_PROFILE: Final = re.compile("|".join(Profile))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What an image says of itself.

    Attributes:
        name: of the image.
        image_version: of the image.
        variant: the platform that it is for.
        profile: what kind it is.
        kubernetes: version that it brings, as "v1.36.4".
    """

    name: str
    image_version: str
    variant: Variant
    profile: Profile
    kubernetes: str

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.image_version}"

    @classmethod
    def read(cls, folder: Path) -> ImageFacts:
        """Read the facts.

        Args:
            folder: of the measured root.

        Raises:
            PermanentError: they are missing or wrong: this is no image of ours.
        """
        try:
            data = (folder / FACTS).read_bytes()
            return cls._of(Fields(load_object(data, FACTS, max_size=_MAX_FACTS, max_brackets=8), FACTS, _KNOWN))
        except (OSError, AttestationError) as error:
            raise PermanentError(f"the image is not one of ours: {error}", hint="build another image") from None

    @classmethod
    def _of(cls, fields: Fields) -> ImageFacts:
        fields.version(FACTS_VERSION)
        return cls(
            name=fields.text("name", _TEXT, "1 to 64 printable characters"),
            image_version=fields.text("image_version", _TEXT, "1 to 64 printable characters"),
            variant=Variant(fields.text("variant", _VARIANT, "the name of a variant")),
            profile=Profile(fields.text("profile", _PROFILE, f"one of {', '.join(Profile)}")),
            kubernetes=fields.text("kubernetes", _TEXT, "a version as v1.36.4"),
        )


@dataclass(frozen=True, slots=True)
class TrustedImage:
    """Who builds our images, and what they signed of ours.

    Attributes:
        public_key: PEM of who builds our images.
        signed: the manifest as peers get it; None where nobody has signed one yet.
        manifest: what it says.
    """

    public_key: str
    signed: SignedManifest | None = None
    manifest: ImageManifest | None = None


def take_manifest(facts: ImageFacts, image: Path, esp: Path, kept: Path) -> TrustedImage:
    """Read the manifest from the ESP, verify it, and keep a copy for the services of this node.

    1. The key is the one in our measured root. Stops a manifest that somebody else signed.
    2. The manifest is for our variant. Stops that of an image for a weaker platform.

    That it describes what we booted is for those to judge who have our evidence. An image without a manifest is one
    that nobody has signed yet: whoever booted the same still accepts it.

    Args:
        facts: of the image.
        image: folder of the measured root.
        esp: source of the files.
        kept: folder for the copy.

    Raises:
        TemporaryError: the ESP is not there yet.
        PermanentError: manifest or key are wrong.
    """
    from constellation_core.errors import CoreError  # noqa: PLC0415 - a node says its first words before it imports this
    from constellation_core.image_manifest import MAX_SIZE, SignedManifest  # noqa: PLC0415 - the same

    public_key = _read_key(image / PUBLIC_KEY)
    with opened(esp) as medium:
        try:
            document = read_file(medium / FOLDER / MANIFEST, max_size=MAX_SIZE)
            signature = read_file(medium / FOLDER / SIGNATURE, max_size=_MAX_SIGNATURE)
        except FileNotFoundError:
            return TrustedImage(public_key)
    try:
        signed = SignedManifest.from_text(document, signature.decode("ascii", "replace"))
        manifest = signed.verify(public_key)  # 1
    except (AttestationError, CoreError) as error:
        raise PermanentError(f"the image's manifest: {error}", hint=error.hint) from None
    if manifest.variant is not facts.variant:  # 2
        raise PermanentError(f"the image's manifest: expected one for {facts.variant}, got one for {manifest.variant}")
    _keep(kept, {MANIFEST: document, SIGNATURE: signature})
    return TrustedImage(public_key, signed, manifest)


def _read_key(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise PermanentError(f"the image has no usable {path.name}: {error}", hint="build another image") from None


def _keep(folder: Path, files: dict[str, bytes]) -> None:
    """Write all files or none: whoever sees the folder sees both."""
    draft = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    draft.chmod(0o755)  # services that are not root read it
    for name, content in files.items():
        write_public(draft / name, content)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
