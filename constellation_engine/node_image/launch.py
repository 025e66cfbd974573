# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Are the signed launch digests those of this image? Only with firmware and processors can that be said.

A launch digest covers firmware, kernel, initrd, command line and processors. Whoever verifies an image says which
firmware and processors machines will have, and for each of them the digest must be among the signed ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attestation.verdict import Mismatch
from constellation_engine.machines import DirectBoot
from constellation_engine.machines.launch_digest import launch_digests
from constellation_engine.node_image.image_folder import ImageFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_core.image_manifest import ImageManifest
    from constellation_engine.node_image.build import LaunchInputs
    from constellation_engine.node_image.image_folder import ImageFolder

NAME: Final = "launch_digests"
_SAY: Final = "say what machines will have: --firmware FILE --cpus NUMBER --cpu-model MODEL"


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
    boot = DirectBoot(
        folder.require(ImageFile.KERNEL),
        folder.require(ImageFile.INITRD),
        folder.read(ImageFile.COMMAND_LINE).decode("utf-8", "replace"),
    )
    numbers = sorted({one.number for one in launch.processors})
    models = sorted({one.model for one in launch.processors})
    for processors, digest in launch_digests(launch.firmware, boot, numbers=numbers, models=models).items():
        if processors in launch.processors and digest not in manifest.launch_digests:
            yield Mismatch(
                NAME,
                f"one of the {len(manifest.launch_digests)} that were signed",
                f"{digest.hex()} for {processors.number} processors {processors.model}",
                "another firmware or kernel, or the image was not signed for such machines",
            )
