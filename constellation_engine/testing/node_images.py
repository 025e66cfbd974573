# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Image folders for tests: sound, signed, small; a test changes one thing and writes it.

FakeImage().write(folder)
FakeImage(root=b"another root").write(folder)
FakeImage(esp={"loader/addons/x.addon.efi": b""}).write(folder)  # a file too many
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from attestation.measured_boot.predict import predict
from attestation.testing.uki import PARTS, FakeUki
from attestation.variant import Variant
from constellation_core.component_list import Component
from constellation_core.image_manifest import ImageManifest, sign
from constellation_engine.node_image.build_record import BuildRecord
from constellation_engine.node_image.disk import MEASUREMENTS_PATH, SIGNATURE_PATH
from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
from constellation_engine.node_image.packages import ContainerImage, DebianPackage, PackageManifest, PythonPackage
from constellation_engine.node_image.sbom import write_sbom
from constellation_engine.node_image.signing import public_pem
from constellation_engine.testing.node_disk import ROOT, FakeDisk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEY: Final = ec.derive_private_key(1234567890, ec.SECP256R1())
OTHER_KEY: Final = ec.derive_private_key(987654321, ec.SECP256R1())
CREATED: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)

BUILD: Final = BuildRecord(
    name="constellation-node",
    version="0.1.0",
    target="qemu",
    variant=Variant.QEMU_VTPM,
    profile="release",
    kubernetes="1.36.4",
    created=CREATED,
)
KUBELET: Final = Component("kubelet", "1.36.4", "a1" * 32)
PACKAGES: Final = PackageManifest(
    release="trixie",
    source_date=CREATED,
    debian=(
        DebianPackage("libc6", "2.41-12+deb13u4", "amd64", "c6" * 32, "glibc", "2.41-12+deb13u4"),
        DebianPackage("zlib1g", "1:1.3.dfsg+really1.3.1-1+b1", "amd64", "21" * 32, "zlib", "1:1.3.dfsg+really1.3.1-1"),
    ),
    tools=(DebianPackage("mkosi", "25.3-7", "all", "05" * 32, "mkosi", "25.3-7"),),
    python=(PythonPackage("grpclib", "0.4.9", "9c" * 32),),
    components=(KUBELET,),
    containers=(ContainerImage("registry.k8s.io/pause", f"sha256:{'3f' * 32}"),),
)


@dataclass
class FakeImage:
    """An image; change one thing and write it.

    Attributes:
        build: what it says to be.
        packages: what it says to be made of.
        command_line: of the kernel, without the root hash, which is added.
        sections: of the unified kernel image, instead of the usual ones.
        root: content of the root partition.
        esp: more files in the ESP.
        key: who signs.
    """

    build: BuildRecord = BUILD
    packages: PackageManifest = PACKAGES
    command_line: str = "console=ttyS0 rd.shell=0"
    sections: Mapping[str, bytes] = field(default_factory=dict)
    root: bytes = ROOT
    esp: Mapping[str, bytes] = field(default_factory=dict)
    key: ec.EllipticCurvePrivateKey = KEY

    def uki(self) -> bytes:
        """Give the unified kernel image."""
        root_hash = FakeDisk(b"", root=self.root).root_hash
        line = f"{self.command_line} roothash={root_hash}".encode()
        return FakeUki(sections={**PARTS, ".cmdline": line, **self.sections}).build()

    def manifest(self) -> ImageManifest:
        """Give what it measures."""
        prediction = predict(self.uki())
        return ImageManifest(
            image=self.build.title,
            variant=self.build.variant,
            measurements=prediction.measurements,
            components=self.packages.components,
            created=self.build.created,
            stub=prediction.stub,
        )

    def write(self, path: Path) -> ImageFolder:
        """Write the folder, which is made."""
        signed = sign(self.manifest().to_document(), self.key)
        signature = f"{signed.signature_text}\n".encode()
        uki = self.uki()
        esp = {MEASUREMENTS_PATH: signed.document, SIGNATURE_PATH: signature, **self.esp}
        files = {
            ImageFile.UKI: uki,
            ImageFile.DISK: FakeDisk(uki, esp, self.root).build(),
            ImageFile.MEASUREMENTS: signed.document,
            ImageFile.SIGNATURE: signature,
            ImageFile.PUBLIC_KEY: public_pem(self.key),
            ImageFile.PACKAGES: self.packages.to_document(),
            ImageFile.SBOM: write_sbom(self.packages, self.build),
            ImageFile.BUILD: self.build.to_document(),
        }
        path.mkdir(parents=True)
        for file, content in files.items():
            (path / file).write_bytes(content)
        return ImageFolder(path)


def with_package(packages: PackageManifest, package: DebianPackage) -> PackageManifest:
    """Give the same list with one package more, or in another version."""
    others = tuple(one for one in packages.debian if one.name != package.name)
    return replace(packages, debian=(*others, package))
