# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`data.constellation_image`: which node image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from terraform_provider_constellation.errors import telling
from terraform_provider_constellation.objects.image import Image
from terraform_provider_constellation.objects.words import variant_name
from terraform_provider_constellation.plugin.api import (
    Call,
    DataSource,
    Matches,
    Model,
    Problem,
    at_most_one_of,
    computed,
    optional,
    rule,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_engine.node_image.choosing import FoundImage

_SELECTORS = ("name", "version", "attestation_variant", "profile")


class ImageChoice(Model):
    """Find a node image.

    Images of this machine are those that `constellation image build` makes. Without arguments the newest of them is
    taken. `path` names one folder; `catalogue` is a file with a list that somebody published. Nothing of an image is
    believed before its signature is verified: that does `constellation_attestation`.
    """

    name: str | None = optional("Its name, such as `constellation-node`.")
    version: str | None = optional("Its version. Without it, the newest that fits.")
    attestation_variant: str | None = optional("The platform, such as `qemu-vtpm`.", validators=[variant_name])
    profile: str | None = optional(
        "How much it lets people in.",
        validators=[Matches("release|debug|emergency-access", "one of release, debug, emergency-access")],
    )
    path: str | None = optional("Folder of one image, instead of a search.")
    folder: str | None = optional("Folder of images to search. Default: `$CONSTELLATION_IMAGES`, else the usual one.")
    catalogue: str | None = optional("File with a published list of images to search.")
    image: Image = computed("The image.")

    places = at_most_one_of("path", "folder", "catalogue")

    @rule
    def a_path_is_an_answer(self) -> Iterator[Problem]:
        """Nothing is searched where a path is given: other arguments would have no effect."""
        for name in _SELECTORS:
            if self.path is not None and getattr(self, name) is not None:
                yield Problem("Invalid combination", f"Expected path or {name}, got both.", name)


class ImageSource(DataSource[ImageChoice]):
    """Finds images."""

    name = "constellation_image"

    async def read(self, config: ImageChoice, call: Call) -> ImageChoice:
        """Look for it."""
        at = next((name for name in ("path", "folder", "catalogue") if getattr(config, name) is not None), "")
        with telling("No such image", at=at or ("version" if config.version is not None else "")):
            found = _find(config)
            config.image = _image_of(found)
        if found.build.profile == "debug":
            call.warn("This image lets people in", "It is for debugging: give machines that boot it no secrets.")
        return config


def _find(config: ImageChoice) -> FoundImage:
    # Terraform starts us often, and asks for images seldom.
    from constellation_engine.node_image.choosing import Wanted, find_local, find_published, local_image  # noqa: PLC0415
    from constellation_engine.node_image.local_images import default_folder  # noqa: PLC0415

    wanted = Wanted(
        name=config.name, version=config.version, variant=config.attestation_variant, profile=config.profile
    )
    if config.path is not None:
        return local_image(Path(config.path))
    if config.catalogue is not None:
        return find_published(Path(config.catalogue), wanted)
    return find_local(Path(config.folder) if config.folder is not None else default_folder(), wanted)


def _image_of(found: FoundImage) -> Image:
    from constellation_engine.node_image.build_record import write_time  # noqa: PLC0415 - as above

    key = found.public_key()
    return Image(
        reference=found.reference,
        version=found.build.version,
        short_path=found.short_path,
        name=found.build.name,
        path=str(found.folder.path.resolve()) if found.folder is not None else None,
        variant=found.build.variant.value,
        profile=found.build.profile,
        kubernetes_version=f"v{found.build.kubernetes}",
        created=write_time(found.build.created),
        public_key=key.decode("ascii", "replace") if key is not None else None,
        manifest=found.signed.document.decode("utf-8", "replace"),
        signature=found.signed.signature_text,
    )
