# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""The list of images that whoever publishes them puts on the network: one JSON document.

    {"version": 1, "images": [{
        "build": {… build.json …},
        "measurements": "{… measurements.json, as text …}", "signature": "MEUC…",
        "places": [{"kind": "file", "location": "https://…/node.raw", "sha256": "…", "size": 1288490188},
                   {"kind": "openstack", "location": "6f1d…", "sha256": "…", "size": 1288490188}]}]}

The list is not signed: each of its images is. Whoever takes an image out of it names the key of a builder.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import MalformedError, NotGenuineError
from constellation_core.fields import Fields
from constellation_core.image_manifest import SignedManifest
from constellation_engine.errors import UnknownImageError
from constellation_engine.node_image.build_record import BuildRecord
from constellation_engine.node_image.long_records import load_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attestation.variant import Variant
    from constellation_core.image_manifest import ImageManifest

CATALOGUE_VERSION: Final = 1
MAX_SIZE: Final = 64 * 1024 * 1024  # bytes
MAX_IMAGES: Final = 1000
MAX_PLACES: Final = 64  # of one image
MAX_DISK: Final = 1 << 40  # bytes

_LOCATION: Final = re.compile(r"[!-~]{1,1024}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=]{1,256}")
_ANY: Final = re.compile(r"[\s\S]{1,65536}")


class PlaceKind(StrEnum):
    """Where a machine can take an image from."""

    FILE = "file"
    OPENSTACK = "openstack"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a published image is.

    Attributes:
        kind: how to get at it.
        location: a path or URL; the ID of an image in a cloud.
        sha256: of the disk, hexadecimal.
        size: of the disk, bytes.
    """

    kind: PlaceKind
    location: str
    sha256: str
    size: int

    @classmethod
    def from_record(cls, record: object) -> Place:
        """Read plain data.

        Raises:
            MalformedError: a field is missing, wrong, or unknown.
        """
        fields = Fields(record, "place of an image", ("kind", "location", "sha256", "size"))
        kinds = re.compile("|".join(PlaceKind))
        return cls(
            kind=PlaceKind(fields.text("kind", kinds, " or ".join(PlaceKind))),
            location=fields.text("location", _LOCATION, "a path, a URL or an ID"),
            sha256=fields.text("sha256", _SHA256, "64 digits 0-9, a-f"),
            size=fields.whole_number("size", range(1, MAX_DISK), 0),
        )

    def to_record(self) -> dict[str, Any]:
        """Give plain data."""
        return {"kind": self.kind.value, "location": self.location, "sha256": self.sha256, "size": self.size}


@dataclass(frozen=True, slots=True)
class PublishedImage:
    """One image of a list.

    Attributes:
        build: what it says to be.
        signed: what it measures; whether anybody we trust says so is not known before `verify`.
        places: where it is.
    """

    build: BuildRecord
    signed: SignedManifest
    places: tuple[Place, ...]

    @classmethod
    def from_record(cls, record: object) -> PublishedImage:
        """Read plain data.

        Raises:
            MalformedError: a field is missing, wrong, or unknown.
        """
        fields = Fields(record, "published image", ("build", "measurements", "signature", "places"))
        document = fields.text("measurements", _ANY, "the text of measurements.json").encode("utf-8", "surrogatepass")
        return cls(
            build=BuildRecord.from_record(fields.mapping("build")),
            signed=SignedManifest.from_text(document, fields.text("signature", _BASE64, "base64")),
            places=tuple(map(Place.from_record, fields.entries("places", range(MAX_PLACES + 1)))),
        )

    def to_record(self) -> dict[str, Any]:
        """Give plain data; `from_record` reads the same record back."""
        return {
            "build": self.build.to_record(),
            "measurements": self.signed.document.decode("utf-8"),
            "signature": self.signed.signature_text,
            "places": [place.to_record() for place in self.places],
        }

    def verify(self, public_key: str | bytes) -> ImageManifest:
        """Give what it measures, if the right one signed it and it is the image that the list says.

        Raises:
            ConfigError: the key is unusable.
            NotGenuineError: the signature is not the key's, or belongs to an image of another platform.
            MalformedError: what the key signed is no manifest.
        """
        manifest = self.signed.verify(public_key)
        if manifest.variant is not self.build.variant:
            raise NotGenuineError(
                "image.variant",
                expected=str(self.build.variant),
                got=str(manifest.variant),
                hint="the list says something else than who signed the image: ask who publishes it",
            )
        return manifest


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A list of published images.

    Attributes:
        images: in the order of the document.
    """

    images: tuple[PublishedImage, ...]

    @classmethod
    def from_document(cls, document: bytes) -> Catalogue:
        """Read the document.

        Raises:
            MalformedError: it is not JSON, of another version, or a field is missing, wrong or unknown.
        """
        fields = Fields(
            load_record(document, "image catalogue", max_size=MAX_SIZE), "image catalogue", ("version", "images")
        )
        fields.version(CATALOGUE_VERSION)
        images = tuple(map(PublishedImage.from_record, fields.entries("images", range(MAX_IMAGES + 1))))
        seen: set[tuple[object, ...]] = set()
        for image in images:
            if (key := _key(image.build)) in seen:
                raise MalformedError(f"image catalogue: {image.build.title} for {image.build.variant} is there twice")
            seen.add(key)
        return cls(images)

    def to_document(self) -> bytes:
        """Write the document; `from_document` reads the same record back."""
        record = {"version": CATALOGUE_VERSION, "images": [image.to_record() for image in self.images]}
        return json.dumps(record, indent=1).encode("ascii") + b"\n"

    def find(
        self,
        *,
        name: str | None = None,
        version: str | None = None,
        variant: Variant | None = None,
        profile: str | None = None,
    ) -> PublishedImage:
        """Give the one image that fits; what is None does not matter. Without a version, the newest that fits.

        Raises:
            UnknownImageError: none fits, or several do.
        """
        asked = {"name": name, "version": version, "variant": variant, "profile": profile}
        asked = {field: value for field, value in asked.items() if value is not None}
        fitting = [one for one in self.images if all(getattr(one.build, field) == asked[field] for field in asked)]
        words = ", ".join(f"{field} {value}" for field, value in asked.items()) or "any name"
        if not fitting:
            raise UnknownImageError(f"expected an image with {words}, the list has {_titles(self.images)}")
        if version is None:
            newest = max(one.build.created for one in fitting)
            fitting = [one for one in fitting if one.build.created == newest]
        if len(fitting) > 1:
            raise UnknownImageError(
                f"expected one image with {words}, the list has {_titles(fitting)}", hint="name also what differs"
            )
        return fitting[0]

    def with_place(self, build: BuildRecord, signed: SignedManifest, place: Place) -> Catalogue:
        """Give the list with one more place of an image; a place of the same kind and location is replaced.

        An image that is there with other measurements is replaced, with all its places: they hold another image.
        """
        images = {_key(image.build): image for image in self.images}
        known = images.get(_key(build))
        places = known.places if known and known.signed == signed else ()
        kept = tuple(one for one in places if (one.kind, one.location) != (place.kind, place.location))
        images[_key(build)] = PublishedImage(build, signed, (*kept, place))
        return Catalogue(tuple(images.values()))


def _key(build: BuildRecord) -> tuple[object, ...]:
    return build.name, build.version, build.target, build.variant, build.profile


def _titles(images: Iterable[PublishedImage]) -> str:
    return ", ".join(f"{one.build.title} ({one.build.variant}, {one.build.profile})" for one in images) or "none"
