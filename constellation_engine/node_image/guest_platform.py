# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""What measures a machine that boots a node image: its disk through OVMF and a TPM, or its launch by SEV-SNP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attestation.variant import Variant
from constellation_engine.errors import ImageKeyError, NodeImageError
from constellation_engine.machines import DirectBoot, LaunchManifest, SevSnp, VcpuModel, Vtpm
from constellation_engine.node_image.image_folder import ImageFile
from constellation_engine.node_image.signing import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constellation_engine.node_image.choosing import FoundImage

MANIFEST_FIELDS = ("uid", "role", "node_group")
"""What a launch says about a machine, besides its name and the image's key; its metadata say the same."""


def platform_of(
    image: FoundImage, name: str, metadata: Mapping[str, object], model: VcpuModel = VcpuModel.EPYC_V4
) -> Vtpm | SevSnp:
    """Give the platform that an image was made for.

    Args:
        image: on this machine.
        name: of the machine.
        metadata: of the machine; for SEV-SNP the launch carries some of it, in the hardware's word.
        model: of virtual processors; for SEV-SNP only.

    Raises:
        NodeImageError: a file of the image is missing, no local machine can boot it, or the metadata say too little.
    """
    if image.build.variant is Variant.QEMU_VTPM:
        return Vtpm()
    if image.build.variant is not Variant.QEMU_SNP or image.folder is None:
        hint = "build one for this host: constellation image build --target qemu"
        raise NodeImageError(f"{image.short_path}: expected an image for a hypervisor of one's own", hint=hint)
    fields = {field: metadata.get(field) for field in MANIFEST_FIELDS}
    missing = [field for field, value in fields.items() if not isinstance(value, str) or not value]
    if missing:
        message = f"metadata: expected {', '.join(missing)}, which the launch of an SEV-SNP guest carries"
        raise NodeImageError(message, hint="without them a node could choose its own role")
    key = image.public_key()
    if key is None:
        raise ImageKeyError(f"{image.short_path}: expected {ImageFile.PUBLIC_KEY} beside the image")
    folder = image.folder
    boot = DirectBoot(
        folder.require(ImageFile.KERNEL),
        folder.require(ImageFile.INITRD),
        folder.read(ImageFile.COMMAND_LINE).decode("utf-8", "replace"),
    )
    texts = {field: str(value) for field, value in fields.items()}
    return SevSnp(boot, LaunchManifest(name=name, image_key=fingerprint(key), **texts), model)
