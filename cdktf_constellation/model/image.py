# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`data.constellation_image`: which node image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

from cdktf_constellation.model.block import Addressed, DataSource
from cdktf_constellation.model.expectations import Problem, text
from constellation_core import rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdktf_constellation.model.references import Reference

PROFILES: Final = ("release", "debug", "emergency-access")
_PLACES: Final = ("path", "folder", "catalogue")
_SELECTORS: Final = ("name", "version", "attestation_variant", "profile")


def image_value(value: object) -> str | None:
    """Judge an image as an argument of a block."""
    given = value.get("path") if isinstance(value, Mapping) else value
    return None if isinstance(given, str) and given else "`image` of a NodeImage, or the folder of an image"


def _profile(name: str) -> str | None:
    return None if name in PROFILES else f"one of {', '.join(PROFILES)}"


class ImageOutputs(Addressed):
    """What Terraform knows of an image."""

    __slots__ = ()

    @property
    def image(self) -> Reference:
        """The image, an object."""
        return self.output("image")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeImage(ImageOutputs, DataSource):
    """A node image: without arguments the newest of this machine.

    Attributes:
        name: its name.
        version: its version; without it, the newest that fits.
        attestation_variant: the platform, such as "qemu-vtpm".
        profile: how much it lets people in: "release", "debug", "emergency-access".
        path: folder of one image, instead of a search.
        folder: folder of images to search.
        catalogue: file with a published list of images to search.
    """

    TYPE: ClassVar[str] = "constellation_image"

    name: str | None = field(default=None, metadata=text())
    version: str | None = field(default=None, metadata=text())
    attestation_variant: str | None = field(default=None, metadata=text(rules.attestation_variant))
    profile: str | None = field(default=None, metadata=text(_profile))
    path: str | None = field(default=None, metadata=text())
    folder: str | None = field(default=None, metadata=text())
    catalogue: str | None = field(default=None, metadata=text())

    def problems(self) -> Iterator[Problem]:
        """Look in one place; nothing is searched where a path is given."""
        places = [name for name in _PLACES if getattr(self, name) is not None]
        if len(places) > 1:
            yield Problem(places[1], f"at most one of {', '.join(_PLACES)}")
        for name in _SELECTORS:
            if self.path is not None and getattr(self, name) is not None:
                yield Problem(name, f"path or {name}, not both")
