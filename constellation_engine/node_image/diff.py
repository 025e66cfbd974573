# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What changed between two images: packages, parts, registers, and why registers changed.

A register is a hash over measurements; each of these has a name ("section .cmdline", "kernel", "initrd"), and those
that differ are the reason. The root is in no register: its hash stands on the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from constellation_core.image_manifest import ImageManifest
from constellation_engine.node_image.disk import map_file
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.kernel_image import read_kernel_image
from constellation_engine.node_image.packages import PackageManifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from attestation.measured_boot.predict import Prediction
    from constellation_engine.node_image.image_folder import ImageFolder
    from constellation_engine.node_image.kernel_image import KernelImage

VERSION: Final = 1


class Change(StrEnum):
    """What happened to a thing."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class PartDifference:
    """One thing that an image is made of, and that the other has not, or in another version.

    Attributes:
        kind: "debian", "tools", "python", "components", "containers", "image".
        name: of the thing.
        before: its version; empty where it was not there.
        after: the same.
    """

    kind: str
    name: str
    before: str
    after: str

    @property
    def change(self) -> Change:
        """What happened."""
        return Change.ADDED if not self.before else Change.REMOVED if not self.after else Change.CHANGED


@dataclass(frozen=True, slots=True)
class RegisterDifference:
    """A register that two images leave at different values.

    Attributes:
        register: index of the PCR.
        before: value, hexadecimal.
        after: value, hexadecimal.
        reasons: names of the measurements that differ.
    """

    register: int
    before: str
    after: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WordDifference:
    """Words of the kernel's command line that only one image has.

    Attributes:
        removed: of the one before.
        added: of the one after.
    """

    removed: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageDifference:
    """All that differs between two images; nothing where they are the same.

    Attributes:
        parts: packages, components, and facts of the image.
        registers: that the boot of one leaves at other values than the boot of the other.
        command_line: of the kernel.
        launch_digests: that only one of both has, hexadecimal, with "+" or "-" before them.
    """

    parts: tuple[PartDifference, ...]
    registers: tuple[RegisterDifference, ...]
    command_line: WordDifference
    launch_digests: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        words = self.command_line
        return not (self.parts or self.registers or words.removed or words.added or self.launch_digests)

    def to_mapping(self) -> dict[str, Any]:
        """Give the record that is printed as JSON: stable keys, versioned."""
        return {
            "version": VERSION,
            "same": self.is_empty,
            "parts": [
                {
                    "kind": part.kind,
                    "name": part.name,
                    "change": part.change.value,
                    "before": part.before,
                    "after": part.after,
                }
                for part in self.parts
            ],
            "registers": [
                {
                    "register": one.register,
                    "before": one.before,
                    "after": one.after,
                    "reasons": list(one.reasons),
                }
                for one in self.registers
            ],
            "command_line": {"removed": list(self.command_line.removed), "added": list(self.command_line.added)},
            "launch_digests": list(self.launch_digests),
        }


def compare(before: ImageFolder, after: ImageFolder) -> ImageDifference:
    """Compare two images. Who signed them is not looked at.

    Raises:
        NodeImageError: a file is missing.
        MalformedError: a record or a unified kernel image is damaged.
        PredictionError: the measurements of one cannot be predicted.
    """
    kernels = [read_kernel_image(map_file(one.require(ImageFile.UKI))) for one in (before, after)]
    lines = [kernel.prediction.command_line or "" for kernel in kernels]
    return ImageDifference(
        parts=tuple(_differing(*map(_parts, (before, after), kernels))),
        registers=tuple(_registers(*(kernel.prediction for kernel in kernels))),
        command_line=_words(*lines),
        launch_digests=_launch_digests(before, after),
    )


def _parts(folder: ImageFolder, kernel: KernelImage) -> dict[tuple[str, str], str]:
    """Give everything that has a version, or a hash, by kind and name."""
    manifest = PackageManifest.from_document(folder.read(ImageFile.PACKAGES))
    build = folder.read_build()
    facts = {
        "name": build.name,
        "version": build.version,
        "target": build.target,
        "variant": str(build.variant),
        "profile": build.profile,
        "Kubernetes": build.kubernetes,
        "kernel": kernel.kernel,
        "systemd-stub": kernel.prediction.stub,
    }
    parts = {("image", name): value for name, value in facts.items()}
    for kind in ("debian", "tools"):
        for package in getattr(manifest, kind):
            parts[kind, f"{package.name} ({package.architecture})"] = f"{package.version} {package.sha256[:16]}"
    for kind in ("python", "components"):
        for part in getattr(manifest, kind):
            parts[kind, part.name] = f"{part.version} {part.sha256[:16]}".rstrip()
    for image in manifest.containers:
        digests = parts.get(("containers", image.name), "")
        parts["containers", image.name] = f"{digests} {image.digest}".lstrip()
    return parts


def _differing(before: Mapping[tuple[str, str], str], after: Mapping[tuple[str, str], str]) -> Iterator[PartDifference]:
    for kind, name in dict.fromkeys((*before, *after)):
        one, other = before.get((kind, name), ""), after.get((kind, name), "")
        if one != other:
            yield PartDifference(kind, name, *_without_same_end(one, other))


def _without_same_end(one: str, other: str) -> tuple[str, str]:
    """Leave hashes away where the versions already differ."""
    versions = one.partition(" ")[0], other.partition(" ")[0]
    return versions if versions[0] != versions[1] else (one, other)


def _registers(before: Prediction, after: Prediction) -> Iterator[RegisterDifference]:
    for index, value in before.registers.items():
        other = after.registers[index]
        if value != other:
            reasons = tuple(_reasons(before, after, index))
            yield RegisterDifference(index, value.hex(), other.hex(), reasons)


def _reasons(before: Prediction, after: Prediction, register: int) -> Iterator[str]:
    found = [{one.what: one.digest for one in side.extensions if one.register == register} for side in (before, after)]
    names = [name for name in dict.fromkeys((*found[0], *found[1])) if not name.startswith("name ")]
    for name in names:
        one, other = found[0].get(name), found[1].get(name)
        if one != other:
            what = "unified kernel image" if name == "image" else name
            yield what if one and other else f"{what} ({Change.REMOVED if one else Change.ADDED})"


def _words(before: str, after: str) -> WordDifference:
    one, other = before.split(), after.split()
    removed, added = (tuple(w for w in a if w not in b) for a, b in ((one, other), (other, one)))
    if before != after and not removed and not added:  # another order, or other spaces, is another measurement
        return WordDifference((before,), (after,))
    return WordDifference(removed, added)


def _launch_digests(before: ImageFolder, after: ImageFolder) -> tuple[str, ...]:
    one, other = map(_signed_digests, (before, after))
    return (*(f"-{digest}" for digest in sorted(one - other)), *(f"+{digest}" for digest in sorted(other - one)))


def _signed_digests(folder: ImageFolder) -> frozenset[str]:
    manifest = ImageManifest.from_document(folder.read(ImageFile.MEASUREMENTS))
    return frozenset(digest.hex() for digest in manifest.launch_digests)
