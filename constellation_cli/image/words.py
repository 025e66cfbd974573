# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Words of the command line that the commands about images share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from constellation_cli.errors import UsageError

if TYPE_CHECKING:
    from constellation_engine.node_image.launch import LaunchInputs

Image: TypeAlias = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the image.")]
TrustedKey: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="FILE",
        help="Key of whom you trust to build images, either half, PEM; default: your own.",
    ),
]
SigningKey: TypeAlias = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="The key; default: constellation/image.key in your config folder."),
]
Firmware: TypeAlias = Annotated[
    Path | None,
    typer.Option("--firmware", metavar="FILE", help="Targets with a launch digest: OVMF; default: this machine's."),
]
Cpus: TypeAlias = Annotated[
    str,
    typer.Option(metavar="N,…", help="Targets with a launch digest: how many virtual processors machines may have."),
]
CpuModels: TypeAlias = Annotated[
    str, typer.Option("--cpu-model", metavar="MODEL,…", help="Targets with a launch digest: of which model.")
]


def launch_inputs(firmware: Path | None, cpus: str, models: str) -> LaunchInputs | None:
    """Give what launch digests depend on besides the image; None where nothing was said.

    Raises:
        UsageError: only half was said, or it is no number or no model.
        MachineError: no firmware was named, and this machine has none.
    """
    if not (firmware or cpus or models):
        return None
    if not (cpus and models):
        raise UsageError("a launch digest needs --cpus and --cpu-model")
    from constellation_engine.machines.firmware import find_snp_ovmf
    from constellation_engine.machines.launch_digest import Processors
    from constellation_engine.machines.spec import VcpuModel
    from constellation_engine.node_image.launch import LaunchInputs

    try:
        numbers = [int(word) for word in cpus.split(",")]
        named = [VcpuModel(word) for word in models.split(",")]
    except ValueError as error:
        raise UsageError(f"--cpus takes numbers, --cpu-model some of {', '.join(VcpuModel)}: {error}") from None
    processors = [Processors(number, model) for number in numbers for model in named]
    return LaunchInputs(firmware or find_snp_ovmf().code, processors)


def trusted_key(key: Path | None) -> bytes:
    """Read the key by which an image is judged: the one that was named, or the user's own.

    Raises:
        UsageError: none was named, and the user has none.
        EngineError: it is no such key.
        SecretFileError: it is a private key that others may read.
    """
    from constellation_engine.node_image.signing import read_public_key

    if key is not None:
        return read_public_key(key)
    own = own_key()
    if own is None:
        raise UsageError("name the key of whom you trust to build images: --key image.pub")
    return own


def own_key() -> bytes | None:
    """Give the public half of the user's own key; None where the user has none.

    Raises:
        EngineError: it is no such key.
        SecretFileError: others may read it.
    """
    from constellation_engine.node_image.signing import default_key_path, read_public_key

    path = default_key_path()
    return read_public_key(path) if path.exists() else None
