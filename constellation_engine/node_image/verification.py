# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Does an image folder hold together, and did the right one sign it? Everything that can be known without a boot.

1. `measurements.json` is signed by the key that is asked for. Stops measurements of anybody else's.
2. The folder's `image.pub` is that key, or one of several that are asked for. Stops an image whose nodes would believe
   somebody else.
3. The unified kernel image predicts the signed registers, all that can be predicted; where the firmware is handed a
   kernel, the signed launch digests have that of every machine that is asked for. Stops another kernel, initrd or
   command line.
4. The disk starts this very image, and has no partition that it does not need. Stops a disk that was changed apart from
   the files beside it.
5. The ESP has this image, the signed measurements and nothing else. Stops add-ons and credentials that systemd-stub
   would load, and what else might be put there.
6. The root on the disk has the root hash of the command line, block by block. Stops a changed root, and a damaged one.
7. Kernel, initrd and command line that firmware is handed are those of the image. Stops another start than that of the
   disk.
8. What the records beside it say fits: platform, profile, components, lists of packages. Stops confusion, not attacks:
   what counts is measured.

Every reason is listed, not only the first.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from attestation.errors import MalformedError, NotGenuineError, PredictionError
from attestation.measured_boot.predict import MARK, UNTOUCHED
from attestation.measured_boot.uki import parse_uki
from attestation.variant import Technology
from attestation.verdict import Mismatch
from constellation_engine.errors import ImageKeyError, NodeImageError
from constellation_engine.node_image.disk import (
    MEASUREMENTS_PATH,
    SIGNATURE_PATH,
    UKI_PATH,
    map_file,
    open_disk,
    root_hash_of,
)
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.node_image.kernel_image import read_kernel_image
from constellation_engine.node_image.launch import launch_mismatches
from constellation_engine.node_image.packages import PackageManifest
from constellation_engine.node_image.sbom import read_sbom
from constellation_engine.node_image.signing import fingerprint, fingerprints
from constellation_engine.node_image.targets import Profile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_core.image_manifest import ImageManifest
    from constellation_engine.node_image.disk import Disk, Esp
    from constellation_engine.node_image.kernel_image import KernelImage
    from constellation_engine.node_image.launch import LaunchInputs

VERSION: Final = 1
DEBUG_WORD: Final = "constellation.debug"
"""On the kernel's command line of images with a shell."""

_UNREADABLE: Final = (MalformedError, PredictionError, NodeImageError)
_CHANGED: Final = "somebody changed the disk: do not start it"
_DIRECT: Final = {ImageFile.KERNEL: ".linux", ImageFile.INITRD: ".initrd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageVerdict:
    """What can be said about an image without starting it.

    Attributes:
        image: its name and version, as signed; empty where nothing is signed.
        key: fingerprint of the key that was asked for, hexadecimal.
        mismatches: every reason to refuse it.
        warnings: what is accepted and should be known.
    """

    image: str
    key: str
    mismatches: tuple[Mismatch, ...]
    warnings: tuple[str, ...] = ()

    @property
    def is_accepted(self) -> bool:
        """Whether there is no reason to refuse it."""
        return not self.mismatches

    def to_mapping(self) -> dict[str, Any]:
        """Give the record that is printed as JSON."""
        return {
            "version": VERSION,
            "accepted": self.is_accepted,
            "image": self.image,
            "key": self.key,
            "mismatches": [
                {"name": one.name, "expected": one.expected, "got": one.got, "hint": one.hint}
                for one in self.mismatches
            ],
            "warnings": list(self.warnings),
        }


def verify_image(folder: ImageFolder, public_key: bytes, *, launch: LaunchInputs | None = None) -> ImageVerdict:
    """Verify an image as the numbered list says; takes some seconds a GiB of its root.

    Args:
        folder: the image.
        public_key: PEM of whom we trust to build images.
        launch: firmware and processors of machines, for images whose firmware is handed a kernel; without, such an
            image is not accepted.

    Raises:
        ImageKeyError: the key is unusable.
        MachineError: the firmware is unusable, or the extra `build` is not installed.
    """
    verification = _Verification(folder, public_key, launch)
    verification.run()
    manifest = verification.manifest
    return ImageVerdict(
        image=manifest.image if manifest else "",
        key=fingerprint(public_key),
        mismatches=tuple(verification.mismatches),
        warnings=tuple(verification.warnings),
    )


class _Verification:
    """One run: collects what does not fit, and keeps what later steps need."""

    def __init__(self, folder: ImageFolder, public_key: bytes, launch: LaunchInputs | None) -> None:
        self._folder = folder
        self._public_key = public_key
        self._launch = launch
        self._keys = fingerprints(public_key)
        self._command_line = ""
        self.manifest: ImageManifest | None = None
        self.mismatches: list[Mismatch] = []
        self.warnings: list[str] = []

    def run(self) -> None:
        with self._checking("signature"):
            self._signature()  # 1
        with self._checking("image.pub"):
            self._public_half()  # 2
        with self._checking("uki"):
            data = map_file(self._folder.require(ImageFile.UKI))
            uki = read_kernel_image(data)
            self._measured(uki)  # 3
            self._disk(uki)
            self._direct_boot(data)  # 7
            self._command_line = uki.prediction.command_line or ""
        self._records()  # 8

    @contextmanager
    def _checking(self, name: str, expected: str = "one that can be read") -> Iterator[None]:
        """Turn what cannot be read into a reason, and go on with the next part."""
        try:
            yield
        except NotGenuineError as error:
            self.mismatches.append(Mismatch.of(error))
        except (*_UNREADABLE, ImageKeyError) as error:
            self.mismatches.append(Mismatch(name, expected, str(error), error.hint))

    def _compare(self, name: str, expected: str, got: str, hint: str = "") -> None:
        if expected != got:
            self.mismatches.append(Mismatch(name, expected or "none", got or "none", hint))

    def _signature(self) -> None:
        self.manifest = self._folder.read_signed().verify(self._public_key)

    def _public_half(self) -> None:
        place = self._folder.require(ImageFile.PUBLIC_KEY)
        for theirs in fingerprints(self._folder.read(ImageFile.PUBLIC_KEY), str(place)):
            if theirs not in self._keys:
                expected = " or ".join(self._keys)
                self._compare("image.pub", expected, theirs, "nodes of this image believe another builder")

    def _measured(self, uki: KernelImage) -> None:
        if self.manifest is None:
            return
        if Technology.TPM in self.manifest.variant.technologies:
            self._registers(uki, self.manifest)
            return
        with self._checking("launch_digests"):
            self.mismatches += launch_mismatches(self._folder, self.manifest, self._launch)

    def _registers(self, uki: KernelImage, manifest: ImageManifest) -> None:
        for index, value in uki.prediction.registers.items():
            if index == MARK:
                continue
            register = manifest.measurements.get(str(index))
            why = "the unified kernel image is not the one that was measured" if index not in UNTOUCHED else ""
            signed = register.expected.hex() if register and register.enforced else ""
            self._compare(f"measurements.{index}", signed, value.hex(), why)

    def _disk(self, uki: KernelImage) -> None:
        with self._checking("disk"):
            disk = open_disk(self._folder.require(ImageFile.DISK))
            for one in disk.partitions:
                if one.type is None:
                    got = f"one of type {one.type_uuid}"
                    self.mismatches.append(Mismatch(f"disk.{one.name}", "ESP, root and hashes alone", got, _CHANGED))
            with self._checking("esp"):
                self._esp(disk.esp(), uki)  # 4, 5
            with self._checking("root", "blocks that fit their hashes"):
                self._root(disk, uki)  # 6

    def _esp(self, esp: Esp, uki: KernelImage) -> None:
        self._compare(f"esp.{UKI_PATH}", uki.sha256, hashlib.sha256(esp.read(UKI_PATH)).hexdigest(), _CHANGED)  # 4
        wanted = {
            MEASUREMENTS_PATH.casefold(): self._folder.read(ImageFile.MEASUREMENTS),
            SIGNATURE_PATH.casefold(): self._folder.read(ImageFile.SIGNATURE),
        }
        for file in esp.files:  # 5
            content = wanted.pop(file.path.casefold(), None)
            if content is not None:
                same = esp.volume.read(file) == content
                self._compare(
                    f"esp.{file.path}", "the one beside the disk", "the one beside the disk" if same else "another"
                )
            elif file.path.casefold() != UKI_PATH.casefold():
                self.mismatches.append(
                    Mismatch(f"esp.{file.path}", "nothing", f"a file of {file.size} bytes", _CHANGED)
                )
        for path in wanted:
            self._compare(f"esp.{path}", "the one beside the disk", "")

    def _root(self, disk: Disk, uki: KernelImage) -> None:
        self._compare("root", uki.root_hash, disk.root_hash(), "the command line belongs to another root")

    def _direct_boot(self, data: memoryview) -> None:
        image = parse_uki(data)
        for file, section in _DIRECT.items():
            if self._folder.has(file):
                found = hashlib.sha256(map_file(self._folder.place(file))).hexdigest()
                self._compare(file, hashlib.sha256(image.sections.get(section, b"")).hexdigest(), found)
        if self._folder.has(ImageFile.COMMAND_LINE):
            words = self._folder.read(ImageFile.COMMAND_LINE).decode("ascii", "replace")
            self._compare("cmdline.roothash", root_hash_of(image.command_line or ""), root_hash_of(words))

    def _records(self) -> None:
        with self._checking(ImageFile.BUILD):
            build = self._folder.read_build()
            if self.manifest is not None:
                self._compare("variant", str(self.manifest.variant), str(build.variant))
            self._profile(build.profile)
        with self._checking(ImageFile.PACKAGES):
            packages = PackageManifest.from_document(self._folder.read(ImageFile.PACKAGES))
            if self.manifest is not None:
                signed = ", ".join(f"{one.name} {one.version}" for one in self.manifest.components)
                listed = ", ".join(f"{one.name} {one.version}" for one in packages.components)
                self._compare("components", signed, listed)
        with self._checking(ImageFile.SBOM):
            read_sbom(self._folder.read(ImageFile.SBOM))

    def _profile(self, stated: str) -> None:
        """Compare what the image says it lets in with what its command line says, which is measured."""
        is_debug = DEBUG_WORD in self._command_line.split()
        if is_debug is not (stated == Profile.DEBUG):
            self._compare("profile", Profile.DEBUG if is_debug else "one without a shell", stated)
        if is_debug:
            self.warnings.append("it has a shell for whoever is at its console: give such nodes no secrets")
