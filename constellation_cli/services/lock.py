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

    The image of the services is made of them, and of the Python packages that uv.lock pins; the image of kube-proxy has
    nft from them. The lists are images/services/debian.toml and images/kube-proxy/debian.toml in the checkout; apt
    checks the signatures of the archive.
    """
    from constellation_cli.progress import waiting_for
    from constellation_engine.container_images import kube_proxy
    from constellation_engine.debian.mirror import KEYRING, newest
    from constellation_engine.debian.packages import read_lock, write_lock
    from constellation_engine.services_image import find_repository
    from constellation_engine.services_image import packages as services

    lists, checkout = (services.LIST, kube_proxy.LIST), find_repository(repository)
    wanted = {name for listed in lists for name in listed.wanted}
    with waiting_for("the index of Debian's archive"):
        packages = newest(wanted, chosen_mirrors(mirror, security_mirror), keyring=keyring or KEYRING)
    for listed in lists:
        file, pinned = checkout / listed.file, [package for package in packages if package.name in listed.wanted]
        before = {package.name: package.version for package in read_lock(file, listed.wanted)}
        file.write_text(write_lock(pinned, listed.image), encoding="utf-8")
        for package in pinned:
            if before[package.name] != package.version:
                sys.stdout.write(f"{package.name} {before[package.name]} -> {package.version}\n")
