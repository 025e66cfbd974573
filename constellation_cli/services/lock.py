# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation services lock`: pin the newest Debian packages of the image."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from constellation_cli.services.words import Mirror, Repository, SecurityMirror, chosen_mirrors

EXAMPLES: Final = ("constellation services lock",)


def lock_packages(
    repository: Repository = None,
    mirror: Mirror = "",
    security_mirror: SecurityMirror = "",
    keyring: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keys of the archive; default: Debian's own keyring.")
    ] = None,
) -> None:
    """Pin the newest Debian packages and print what changed.

    The image of the services is made of them, and of the Python packages that uv.lock pins. The list is
    images/services/debian.toml in the checkout; apt checks the signatures of the archive.
    """
    from constellation_cli.progress import waiting_for
    from constellation_engine.services_image import LOCK, find_repository
    from constellation_engine.services_image.mirror import KEYRING, newest
    from constellation_engine.services_image.packages import read_lock, write_lock

    file = find_repository(repository) / LOCK
    with waiting_for("the index of Debian's archive"):
        packages = newest(chosen_mirrors(mirror, security_mirror), keyring=keyring or KEYRING)
    before = {package.name: package.version for package in read_lock(file)}
    file.write_text(write_lock(packages), encoding="utf-8")
    for package in packages:
        if before.get(package.name) != package.version:
            sys.stdout.write(f"{package.name} {before.get(package.name, 'none')} -> {package.version}\n")
