# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Launch digests of an image, and whether the signed ones are those: only firmware and processors can tell.

A launch digest covers firmware, kernel, initrd, command line and processors. Whoever builds or verifies an image says
which firmware and processors machines will have; verified is that the digest of each is among the signed ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from attestation.verdict import Mismatch
from constellation_engine.machines import DirectBoot
from constellation_engine.machines.launch_digest import launch_digests
from constellation_engine.node_image.image_folder import ImageFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from constellation_core.image_manifest import ImageManifest
    from constellation_engine.machines.launch_digest import Processors
    from constellation_engine.node_image.image_folder import ImageFolder

NAME: Final = "launch_digests"
_SAY: Final = "say what machines will have: --firmware FILE --cpus NUMBER --cpu-model MODEL"


@dataclass(frozen=True, slots=True)
class LaunchInputs:
    """What launch digests depend on besides the image, for targets whose firmware is handed a kernel.

    Attributes:
        firmware: the AmdSev build of OVMF.
        processors: numbers and models of virtual processors that machines may have.
    """

    firmware: Path
    processors: Sequence[Processors]


def digests_of(folder: ImageFolder, launch: LaunchInputs) -> Mapping[Processors, bytes]:
    """Predict the launch digests of an image, 48 bytes each.

    Raises:
        NodeImageError: kernel, initrd or command line is missing.
        MachineError: the firmware cannot be used, or the extra `build` is not installed.
    """
    boot = DirectBoot(
        folder.require(ImageFile.KERNEL),
        folder.require(ImageFile.INITRD),
        folder.read(ImageFile.COMMAND_LINE).decode("utf-8", "replace"),
    )
    return launch_digests(launch.firmware, boot, launch.processors)


def launch_mismatches(folder: ImageFolder, manifest: ImageManifest, launch: LaunchInputs | None) -> Iterator[Mismatch]:
    """Compare the launch digests of an image with the signed ones.

    Args:
        folder: the image.
        manifest: what was signed.
        launch: firmware and processors; None where nobody said: then nothing ties the signature to the image.

    Raises:
        NodeImageError: kernel, initrd or command line is missing.
        MachineError: the firmware cannot be used, or the extra `build` is not installed.
    """
    if not manifest.launch_digests:
        yield Mismatch(NAME, "at least one", "none", "neither registers nor digests of this image were signed")
        return
    if launch is None or not launch.processors:
        yield Mismatch(NAME, "firmware and processors, to compute one", "none", _SAY)
        return
    for processors, digest in digests_of(folder, launch).items():
        if digest not in manifest.launch_digests:
            yield Mismatch(
                NAME,
                f"one of the {len(manifest.launch_digests)} that were signed",
                f"{digest.hex()} for {processors.number} processors {processors.model}",
                "another firmware or kernel, or the image was not signed for such machines",
            )
