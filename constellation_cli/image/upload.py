# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation image upload`: bring an image to where machines start from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from constellation_cli.errors import ExitStatus
from constellation_cli.image.words import CpuModels, Cpus, Firmware, Image, TrustedKey, launch_inputs, trusted_key
from constellation_cli.output import Output, OutputFormat, Table, emit

if TYPE_CHECKING:
    from constellation_engine.node_image.upload.uploader import Uploader

VERSION: Final = 1
DEFAULT_TIMEOUT: Final = 3600.0  # seconds
EXAMPLES: Final = (
    "constellation image upload node file:/srv/images",
    "constellation image upload node openstack:mycloud",
    "constellation image upload node openstack:mycloud --hidden --catalogue catalogue.json -o json",
)


def parse_destination(text: str) -> tuple[str, str]:
    """Read KIND:WHERE."""
    kind, separator, where = text.partition(":")
    if kind not in ("file", "openstack") or not separator or (kind == "file" and not where):
        raise typer.BadParameter(f"expected file:FOLDER or openstack:CLOUD, got {text!r}")
    return kind, where.removeprefix("//") if kind == "file" else where


def upload_image(  # noqa: PLR0913, PLR0917 - one parameter an option
    image: Image,
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DESTINATION",
            parser=parse_destination,
            help="file:FOLDER, or openstack:CLOUD with a name of clouds.yaml (without it: by OS_* variables).",
        ),
    ],
    key: TrustedKey = None,
    firmware: Firmware = None,
    cpus: Cpus = "",
    cpu_model: CpuModels = "",
    hidden: Annotated[bool, typer.Option("--hidden", help="OpenStack: leave it out of lists of images.")] = False,
    catalogue: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Note the place in this list of images, which may be new.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Give up after this time.")] = (
        DEFAULT_TIMEOUT
    ),
    output: Output = OutputFormat.TABLE,
) -> None:
    """Verify an image, bring it to a place, and print where it is.

    An image that is not accepted is not sent (status 2). One that is there already is not sent again; what did not
    arrive whole is removed. The cloud's hash of what it stored is compared.
    """
    from constellation_cli.image.transfer import showing_transfer
    from constellation_cli.image.verdict_table import verdict_tables
    from constellation_cli.progress import time_limit, waiting_for
    from constellation_engine.node_image.image_folder import ImageFolder
    from constellation_engine.node_image.publishing import note_place
    from constellation_engine.node_image.verification import verify_image

    folder, public_key = ImageFolder.open(image), trusted_key(key)
    launch = launch_inputs(firmware, cpus, cpu_model)
    with time_limit(timeout, f"the upload of {image}"):
        with waiting_for(f"the hashes of {image}"):
            verdict = verify_image(folder, public_key, launch=launch)
        if not verdict.is_accepted:
            emit(output, verdict.to_mapping(), lambda: verdict_tables(verdict))
            raise typer.Exit(ExitStatus.REFUSED)
        with showing_transfer("upload") as report:
            place = _uploader(*destination, hidden=hidden).upload(folder, report=report)
    if catalogue is not None:
        note_place(catalogue, folder, place)
    record = {"version": VERSION, "place": place.to_record()}
    emit(output, record, lambda: [Table("", ((place.location,),))])


def _uploader(kind: str, where: str, *, hidden: bool) -> Uploader:
    if kind == "file":
        from constellation_engine.node_image.upload.file import FileUploader

        return FileUploader(Path(where))
    from constellation_engine.node_image.upload.openstack import OpenStackUploader

    return OpenStackUploader(where or None, hidden=hidden)
