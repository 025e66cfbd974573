# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Which image is meant: a folder, one of this machine's images, or one of a published list.

    local_image(Path("node"))
    named_image("qemu-vtpm-release")
    find_local(default_folder(), Wanted(version="0.1.0", variant="qemu-vtpm"))
    find_published(Path("images.json"), Wanted(profile="release"))

Whether anybody we trust signed it is not known before `FoundImage.signed.verify`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attestation.errors import AttestationError
from attestation.variant import Variant
from constellation_engine.errors import NodeImageError, UnknownImageError
from constellation_engine.node_image.catalogue import MAX_SIZE, Catalogue
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder, read_bounded
from constellation_engine.node_image.local_images import default_folder, local_images

if TYPE_CHECKING:
    from collections.abc import Iterable

    from constellation_core.image_manifest import SignedManifest
    from constellation_engine.node_image.build_record import BuildRecord
    from constellation_engine.node_image.catalogue import Place, PublishedImage

_MAKE_ONE: Final = "constellation image build makes one; CONSTELLATION_IMAGES names another folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is known of an image; what is None does not matter. Without a version, the newest that fits is meant."""

    name: str | None = None
    version: str | None = None
    variant: str | None = None
    profile: str | None = None

    def fits(self, build: BuildRecord) -> bool:
        """Whether an image is like that."""
        asked = {"name": self.name, "version": self.version, "variant": self.variant, "profile": self.profile}
        return all(value is None or str(getattr(build, field)) == value for field, value in asked.items())

    def __str__(self) -> str:
        """Give it in words."""
        asked = {"name": self.name, "version": self.version, "variant": self.variant, "profile": self.profile}
        return ", ".join(f"{field} {value}" for field, value in asked.items() if value is not None) or "any name"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundImage:
    """An image.

    Attributes:
        build: what it says to be.
        signed: what it measures.
        reference: what machines boot: the path of a disk, a URL, an ID in a cloud.
        folder: where it is on this machine; None where it is only published.
    """

    build: BuildRecord
    signed: SignedManifest
    reference: str
    folder: ImageFolder | None = None

    @property
    def short_path(self) -> str:
        """What tells it apart from others: name, variant, profile and version."""
        return f"{self.build.name}/{self.build.variant}/{self.build.profile}/{self.build.version}"

    def public_key(self) -> bytes | None:
        """Read whose signatures its nodes believe, PEM; None where only its nodes know.

        Raises:
            NodeImageError: the file cannot be read.
        """
        return self.folder.read(ImageFile.PUBLIC_KEY) if self.folder is not None else None


def local_image(path: Path) -> FoundImage:
    """Take a folder as an image.

    Raises:
        UnknownImageError: it is none.
        NodeImageError: a file is missing.
        MalformedError: a record of it is damaged.
    """
    folder = ImageFolder.open(path)
    disk = folder.require(ImageFile.DISK)
    build, signed = folder.read_build(), folder.read_signed()
    return FoundImage(build=build, signed=signed, reference=str(disk.resolve()), folder=folder)


def named_image(text: str, root: Path | None = None) -> FoundImage:
    """Find the image that somebody means; see `named_folder`.

    Raises:
        UnknownImageError: there is none, or there are several.
        NodeImageError: what was found cannot be read.
        MalformedError: a record of it is damaged.
    """
    return local_image(named_folder(text, root).path)


def named_folder(text: str, root: Path | None = None) -> ImageFolder:
    """Find the folder that somebody means: a folder, one of this machine's images, or the name of an image.

    Args:
        text: what they wrote.
        root: folder of this machine's images; None for the usual one.

    Raises:
        UnknownImageError: there is none, or there are several.
        NodeImageError: the folder of images cannot be read.
    """
    images = root or default_folder()
    named = Path(text).expanduser()
    for folder in (named, images / text):
        if folder.is_dir():
            return ImageFolder.open(folder)
    if named.name != text:  # a path, and no name
        return ImageFolder.open(named)
    return _folder_among(images, Wanted(name=text))


def find_local(root: Path, wanted: Wanted) -> FoundImage:
    """Find one of the images below a folder.

    Raises:
        UnknownImageError: none fits, or several do; says what is there.
        NodeImageError: the folder, or what fits, cannot be read.
        MalformedError: a record of it is damaged.
    """
    return local_image(_folder_among(root, wanted).path)


def _folder_among(root: Path, wanted: Wanted) -> ImageFolder:
    images = local_images(root)
    fitting = [one for one in images if one.build is not None and wanted.fits(one.build)]
    builds = {one.folder.path: one.build for one in images if one.build is not None}
    if not fitting:
        broken = "".join(f"; {one.folder.path.name} cannot be read: {one.problem}" for one in images if one.problem)
        message = f"expected an image with {wanted}, {root} has {_titles(builds.values())}{broken}"
        raise UnknownImageError(message, hint=_MAKE_ONE)
    newest = [
        one for one in fitting if one.build and fitting[0].build and one.build.created == fitting[0].build.created
    ]
    chosen = newest if wanted.version is None else fitting
    if len(chosen) > 1:
        places = ", ".join(str(one.folder.path) for one in chosen)
        raise UnknownImageError(f"expected one image with {wanted}, got {places}", hint="name its folder")
    return chosen[0].folder


def all_local(root: Path) -> tuple[FoundImage, ...]:
    """Give the images below a folder that can be read, newest first.

    Raises:
        NodeImageError: the folder cannot be read, or a file of an image is missing.
        MalformedError: a signature is damaged.
    """
    return tuple(local_image(one.folder.path) for one in local_images(root) if one.build is not None)


def all_published(catalogue: Path) -> tuple[FoundImage, ...]:
    """Give the images of a published list that are somewhere, newest first.

    Raises:
        NodeImageError: the file cannot be read.
        MalformedError: it is no list of images.
    """
    images = Catalogue.from_document(read_bounded(catalogue, MAX_SIZE)).images
    newest_first = sorted(images, key=lambda image: image.build.created, reverse=True)
    return tuple(_published(image) for image in newest_first if image.places)


def find_published(catalogue: Path, wanted: Wanted) -> FoundImage:
    """Find an image in a file with a published list; the first of its places is where machines take it from.

    Raises:
        NodeImageError: the file cannot be read.
        MalformedError: it is no list of images.
        UnknownImageError: none fits, or several do, or it is nowhere.
    """
    variant = Variant(wanted.variant) if wanted.variant is not None else None
    published = Catalogue.from_document(read_bounded(catalogue, MAX_SIZE)).find(
        name=wanted.name, version=wanted.version, variant=variant, profile=wanted.profile
    )
    if not published.places:
        raise UnknownImageError(f"{catalogue}: {published.build.title} has no place", hint="ask who publishes the list")
    return _published(published)


def _published(image: PublishedImage) -> FoundImage:
    place = image.places[0]
    folder = _folder_of(place, image.signed)
    return FoundImage(build=image.build, signed=image.signed, reference=place.location, folder=folder)


def _folder_of(place: Place, signed: SignedManifest) -> ImageFolder | None:
    """Give the folder of a published disk where it is one of this machine, and of this very image."""
    folder = ImageFolder(Path(place.location).parent)
    try:
        return folder if folder.has(ImageFile.DISK) and folder.read_signed() == signed else None
    except (AttestationError, NodeImageError):
        return None


def _titles(builds: Iterable[BuildRecord]) -> str:
    return ", ".join(f"{one.title} ({one.variant}, {one.profile})" for one in builds) or "none"
