# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""Words of the command line that the commands about images share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from constellation_cli.errors import UsageError

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
