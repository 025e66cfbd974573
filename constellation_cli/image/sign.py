# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation image sign`: say what an image measures, with your name under it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from constellation_cli.image.words import SigningKey

EXAMPLES: Final = (
    "constellation image sign ~/.local/share/constellation/images/node",
    "constellation image sign --key release.key measurements.json",
)


def sign_measurements(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of an image, or a file measurements.json.")],
    key: SigningKey = None,
) -> None:
    """Sign measurements, and print where the signature is.

    The key is ECDSA P-256; it is made when it is needed first, and never replaced. The public half is part of an image
    since it was built, so an image is signed by the key it was built with, and by no other. The signature is what
    `cosign verify-blob --key image.pub` checks.
    """
    from constellation_cli.terminal import say
    from constellation_engine.node_image.image_folder import ImageFolder
    from constellation_engine.node_image.signing import (
        default_key_path,
        fingerprint,
        load_key,
        load_or_create_key,
        public_pem,
        sign_file,
        sign_image,
    )

    private = load_key(key) if key else load_or_create_key(default_key_path())
    place = sign_image(ImageFolder.open(path), private) if path.is_dir() else sign_file(path, private)
    say("key", fingerprint(public_pem(private)))
    sys.stdout.write(f"{place}\n")
    sys.stdout.flush()
