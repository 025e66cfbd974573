# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation image measure`: boot an image, and see that it measures what was predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from constellation_cli.errors import ExitStatus
from constellation_cli.image.words import Image
from constellation_cli.output import Output, OutputFormat, Table, emit

if TYPE_CHECKING:
    from constellation_engine.node_image.measure import Measurement

DEFAULT_TIMEOUT: Final = 300.0  # seconds; 40 on two slow cores without hardware virtualisation
EXAMPLES: Final = (
    "constellation image measure ~/.local/share/constellation/images/qemu-vtpm-release",
    "constellation image measure -o json node | jq .registers",
)


def measure_image(
    image: Image,
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Give up after this time.")] = (
        DEFAULT_TIMEOUT
    ),
    output: Output = OutputFormat.TABLE,
) -> None:
    """Boot an image in a machine of its own, and compare what its TPM quotes with what was predicted.

    The machine has firmware, a TPM and an empty disk, and is thrown away in the end. Registers and event log come over
    the attested channel from its agent: nothing else of the image is opened for that. Status 2 if a register differs,
    if the log does not explain what was quoted, or if the signed measurements do not accept the machine.
    """
    from constellation_cli.components.reporter import showing_progress
    from constellation_engine.node_image.image_folder import ImageFolder
    from constellation_engine.node_image.measure import measure

    folder = ImageFolder.open(image)
    with showing_progress("machine") as report:
        measurement = measure(folder, report=report, timeout=timeout)
    emit(output, measurement.to_mapping(), lambda: _tables(str(image), measurement))
    if not measurement.agrees:
        raise typer.Exit(ExitStatus.REFUSED)


def _tables(title: str, measurement: Measurement) -> tuple[Table, ...]:
    from constellation_engine.node_image.measure import MEANING

    registers = tuple(
        (
            str(one.index),
            "equal" if one.equal else "DIFFERENT",
            one.predicted.hex(),
            one.booted.hex(),
            MEANING[one.index],
        )
        for one in measurement.registers
    )
    log = f"{measurement.events} entries, explain every register"
    if measurement.unexplained:
        log = f"{measurement.events} entries, do not explain {', '.join(map(str, measurement.unexplained))}"
    about = (
        ("measured what was predicted", "yes" if measurement.agrees else "NO"),
        ("from power-on to the agent", f"{measurement.seconds:.1f} s"),
        ("event log", log),
        *(("mismatch", str(mismatch)) for mismatch in measurement.verdict.mismatches),
        *(("warning", warning) for warning in measurement.verdict.warnings),
    )
    return (
        Table(title, about),
        Table("registers", registers, ("register", "", "predicted", "booted", "stands for")),
    )
