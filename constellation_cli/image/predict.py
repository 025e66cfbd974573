# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation image predict`: what will a machine measure that boots this image?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from constellation_cli.output import Output, OutputFormat, Table, emit, name_value_rows

EXAMPLES: Final = (
    "constellation image predict node.efi",
    "constellation image predict ~/.local/share/constellation/images/node",
    "constellation image predict -o json node.efi > measurements.json",
    "constellation image predict --phases enter-initrd:leave-initrd:sysinit:ready node.efi",
)


def predict_image(
    uki: Annotated[Path, typer.Argument(metavar="UKI", help="Unified kernel image (.efi), or the folder of an image.")],
    phases: Annotated[
        str,
        typer.Option(help="Phases of the boot that are over, joined by colons; none where systemd does not measure."),
    ] = "",
    secure_boot: Annotated[
        bool, typer.Option("--secure-boot", help="The machine enforces Secure Boot; register 4 depends on it.")
    ] = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Predict the registers of a TPM from a unified kernel image alone.

    Registers 4 (boot loader and kernel), 9 (command line and initrd) and 11 (sections of the image) follow from the
    file; 12, 13 and 15 stay zero. Those of the firmware (0 to 3, 5 to 7, 14) are not in the image. An image whose
    systemd-stub is not known is refused: a guess would be worse.
    """
    from attestation.measured_boot.predict import predict_file
    from constellation_cli.progress import waiting_for
    from constellation_engine.node_image.image_folder import ImageFile, ImageFolder

    uki = ImageFolder.open(uki).require(ImageFile.UKI) if uki.is_dir() else uki
    with waiting_for(f"the measurements of {uki}"):
        prediction = predict_file(uki, phases=phases, secure_boot=secure_boot)
    record = prediction.to_mapping()

    def tables() -> tuple[Table, ...]:
        about = {key: value for key, value in record.items() if not isinstance(value, dict | list)}
        registers = tuple((name, value) for name, value in record["registers"].items())
        extensions = tuple(tuple(map(str, extension.values())) for extension in record["extensions"])
        return (
            Table(str(uki), tuple(name_value_rows(about))),
            Table("registers", registers, ("register", "SHA-256")),
            Table("extensions, in order", extensions, ("register", "what", "digest")),
        )

    emit(output, record, tables)
