# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation services build`: make the container image of the services."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from constellation_cli.services.words import Mirror, Repository, SecurityMirror, chosen_mirrors

DEFAULT_OUTPUT: Final = Path("build/services-image")
DEFAULT_TIMEOUT: Final = 900.0  # seconds; ten are enough on a quiet machine that has done it before
EXAMPLES: Final = (
    "constellation services build",
    "constellation services build -o services && tar -C services -c . | ctr -n k8s.io image import -",
    "constellation services manifests --variant qemu-vtpm --image $(constellation services build)",
)


def build_image(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the image, to make or to replace.")
    ] = DEFAULT_OUTPUT,
    repository: Repository = None,
    mirror: Mirror = "",
    security_mirror: SecurityMirror = "",
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Give up after this time.")] = (
        DEFAULT_TIMEOUT
    ),
) -> None:
    """Build the image of the services and print its name.

    The name ends with a digest, by which pods pin it. The image is an OCI layout of Debian's Python, the packages of
    uv.lock, and our own; all but ours are pinned by hash. The same checkout gives the same bytes on every machine.
    Neither root nor a container daemon is needed; uv is, and a mirror of Debian. What was downloaded before an
    interruption is not lost.
    """
    from constellation_cli.components.reporter import showing_progress
    from constellation_cli.terminal import say
    from constellation_engine.services_image import build, find_repository

    source = find_repository(repository)
    mirrors = chosen_mirrors(mirror, security_mirror)
    with showing_progress("services") as report:
        built = build(output, repository=source, mirrors=mirrors, timeout=timeout, report=report)
    say("image", f"{built.layout}, {built.size / (1 << 20):.0f} MiB")
    sys.stdout.write(f"{built.reference}\n")
    sys.stdout.flush()
