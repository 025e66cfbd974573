# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation provider package`: make what a registry wants of a release."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from constellation_cli import __version__
from constellation_cli.terminal import say

DEFAULT_OUTPUT: Final = Path("build/provider")
DEFAULT_TIMEOUT: Final = 900.0  # seconds; 15 are enough on a quiet machine
EXAMPLES: Final = (
    "constellation provider package",
    "constellation provider install --from $(constellation provider package -o dist)",
)


def package_provider(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder for the three files.")
    ] = DEFAULT_OUTPUT,
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Give up after this time.")] = (
        DEFAULT_TIMEOUT
    ),
) -> None:
    """Pack the provider as a program that needs no Python, and print where the zip is.

    Beside the zip are the manifest and the hashes that a registry wants; to publish them, sign the hashes. The same
    environment gives the same bytes. This needs PyInstaller and binutils; the program runs where the C library is not
    older than here.
    """
    from constellation_cli.progress import waiting_for
    from terraform_provider_constellation.packaging.package import package
    from terraform_provider_constellation.packaging.release import semantic_version

    with waiting_for("PyInstaller, which looks through everything that the provider imports"):
        made = package(output, semantic_version(__version__), timeout=timeout)
    say("provider", f"{made.archive.stat().st_size / 1_000_000:.1f} MB; hashes to sign: {made.sums}")
    sys.stdout.write(f"{made.archive}\n")
    sys.stdout.flush()
