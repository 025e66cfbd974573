# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation image inspect`: what is in an image, a disk, or a unified kernel image?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from constellation_cli.errors import ExitStatus
from constellation_cli.image.words import CpuModels, Cpus, Firmware, TrustedKey, launch_inputs, own_key
from constellation_cli.output import Output, OutputFormat, Table, emit, name_value_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constellation_engine.node_image.verification import ImageVerdict

EXAMPLES: Final = (
    "constellation image inspect ~/.local/share/constellation/images/node",
    "constellation image inspect node.raw",
    "constellation image inspect -o json node.efi | jq -r .uki.command_line",
)


def inspect_image(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of an image, a raw disk, or a UKI (.efi).")],
    key: TrustedKey = None,
    firmware: Firmware = None,
    cpus: Cpus = "",
    cpu_model: CpuModels = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Show partitions, kernel, command line, root hash, registers, and who signed what the image measures.

    Nothing is mounted. A folder is also verified, by the key that is named, else by your own, else by the one that lies
    in it, which only shows that it fits together. Of a disk, the measurements in its ESP are compared with its kernel
    image. What does not fit ends with status 2.
    """
    from constellation_cli.progress import waiting_for
    from constellation_engine.node_image.image_folder import ImageFile, ImageFolder
    from constellation_engine.node_image.inspection import inspect
    from constellation_engine.node_image.signing import read_public_key
    from constellation_engine.node_image.verification import verify_image

    trusted = read_public_key(key) if key else own_key()
    launch, verdict = launch_inputs(firmware, cpus, cpu_model), None
    with waiting_for(f"the hashes of {path}"):
        found = inspect(path, [trusted] if trusted else [])
        if path.is_dir():
            folder = ImageFolder(path)
            verdict = verify_image(folder, trusted or folder.read(ImageFile.PUBLIC_KEY), launch=launch)
    record = {**found.to_mapping(), "vouched_for": bool(trusted), "verdict": verdict and verdict.to_mapping()}
    emit(output, record, lambda: _tables(record, verdict))
    unsigned = found.signed is not None and trusted is not None and found.signed.manifest is None
    if found.differing or unsigned or (verdict is not None and not verdict.is_accepted):
        raise typer.Exit(ExitStatus.REFUSED)


def _tables(record: dict[str, Any], verdict: ImageVerdict | None) -> Iterator[Table]:
    from constellation_cli.image.verdict_table import verdict_tables

    facts = {key: record[key] for key in ("kind", "build", "packages") if record[key]}
    if record["build"]:
        facts["build"] = {key: value for key, value in record["build"].items() if key != "version"}  # of the record
    yield Table(record["path"], tuple(name_value_rows(facts)))
    if record["disk"]:
        yield _rows("partitions", record["disk"]["partitions"])
        yield _rows("ESP", record["disk"]["esp"])
    uki = record["uki"]
    yield Table("unified kernel image", tuple(name_value_rows(uki)))
    yield _rows("sections", uki["sections"])
    yield Table("registers after a boot", tuple(record["registers"].items()), ("register", "SHA-256"))
    if record["measurements"]:
        signer = record["measurements"]["signed_by"] or "nobody whom we know"
        differing = ", ".join(record["measurements"]["differing"]) or "none"
        yield Table("", (("measurements signed by", signer), ("registers signed otherwise", differing)))
    if verdict is not None:
        yield from verdict_tables(verdict)
        if not record["vouched_for"]:
            yield Table("", (("the key lies in the image itself: to know who built it, name a key by --key",),))


def _rows(title: str, entries: list[dict[str, Any]]) -> Table:
    columns = tuple(entries[0]) if entries else ("none",)
    return Table(title, tuple(tuple(str(value) for value in entry.values()) for entry in entries), columns)
