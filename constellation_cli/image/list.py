# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation image list`: which images are here, or in a published list?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from constellation_cli.output import Output, OutputFormat, Table, emit

if TYPE_CHECKING:
    from constellation_engine.node_image.build_record import BuildRecord

VERSION: Final = 1
_KEYS: Final = ("name", "image_version", "variant", "profile", "kubernetes", "created", "where")
COLUMNS: Final = ("name", "version", "variant", "profile", "Kubernetes", "created", "where")
EXAMPLES: Final = (
    "constellation image list",
    "constellation image list --catalogue catalogue.json -o json",
)


def list_images(
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            metavar="FOLDER",
            envvar="CONSTELLATION_IMAGES",
            show_envvar=True,
            help="Folder of images; default: constellation/images in your data folder.",
        ),
    ] = None,
    catalogue: Annotated[
        Path | None, typer.Option(metavar="FILE", help="List what somebody published instead.")
    ] = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show images, newest first. Whether they are what they say is another question: `constellation image verify`."""
    entries = _published(catalogue) if catalogue else _local(images)
    rows = tuple(tuple(str(entry[column]) for column in _KEYS) for entry in entries)
    broken = tuple((entry["where"], entry["problem"]) for entry in entries if entry["problem"])

    def tables() -> list[Table]:
        found = [Table("", rows, COLUMNS)] if rows else [Table("", (("no images here",),))]
        return [*found, Table("cannot be read", broken)] if broken else found

    emit(output, {"version": VERSION, "images": entries}, tables)


def _local(images: Path | None) -> list[dict[str, Any]]:
    from constellation_engine.node_image.local_images import default_folder, local_images

    found = local_images(images or default_folder())
    return [
        _entry(image.build, where=str(image.folder.path), size=image.size, problem=image.problem) for image in found
    ]


def _published(catalogue: Path) -> list[dict[str, Any]]:
    from constellation_engine.node_image.catalogue import MAX_SIZE, Catalogue
    from constellation_engine.node_image.image_folder import read_bounded

    published = Catalogue.from_document(read_bounded(catalogue, MAX_SIZE)).images
    return [
        _entry(
            image.build,
            where=", ".join(f"{place.kind}:{place.location}" for place in image.places),
            size=max((place.size for place in image.places), default=0),
        )
        for image in sorted(published, key=lambda image: image.build.created, reverse=True)
    ]


def _entry(build: BuildRecord | None, *, where: str, size: int, problem: str = "") -> dict[str, Any]:
    fields = build.to_record() if build else dict.fromkeys((*_KEYS, "target"), "")
    fields.pop("version", None)
    return {**fields, "where": where, "size": size, "problem": problem}
