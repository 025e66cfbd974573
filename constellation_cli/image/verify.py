# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation image verify`: is this the image that its builder signed?"""

from __future__ import annotations

from typing import Final

import typer

from constellation_cli.errors import ExitStatus
from constellation_cli.image.words import CpuModels, Cpus, Firmware, Image, TrustedKey, launch_inputs, trusted_key
from constellation_cli.output import Output, OutputFormat, emit

EXAMPLES: Final = (
    "constellation image verify ~/.local/share/constellation/images/node",
    "constellation image verify --key builder.pub -o json node",
    "constellation image verify --firmware OVMF.amdsev.fd --cpus 2,4 --cpu-model EPYC-Milan node",
)


def verify_folder(
    image: Image,
    key: TrustedKey = None,
    firmware: Firmware = None,
    cpus: Cpus = "",
    cpu_model: CpuModels = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Verify an image without starting it: signature, registers, what its disk starts, every block of its root.

    Nothing is mounted. Every reason against the image is listed, and one is enough for status 2. An image with launch
    digests is only accepted for firmware and processors that are named. What the firmware adds at boot is not in an
    image: `constellation image measure` starts it and compares.
    """
    from constellation_cli.image.verdict_table import verdict_tables
    from constellation_cli.progress import waiting_for
    from constellation_engine.node_image.image_folder import ImageFolder
    from constellation_engine.node_image.verification import verify_image

    folder, public_key = ImageFolder.open(image), trusted_key(key)
    launch = launch_inputs(firmware, cpus, cpu_model)
    with waiting_for(f"the hashes of {image}"):
        verdict = verify_image(folder, public_key, launch=launch)
    emit(output, verdict.to_mapping(), lambda: verdict_tables(verdict))
    if not verdict.is_accepted:
        raise typer.Exit(ExitStatus.REFUSED)
