# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation image build`: make a node image, and say what it will measure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from constellation_cli.image.words import CpuModels, Cpus, Firmware, SigningKey, launch_inputs
from constellation_cli.services.words import Mirror, Repository, SecurityMirror, chosen_mirrors

DEFAULT_TIMEOUT: Final = 3600.0  # seconds; four minutes if everything was fetched before
EXAMPLES: Final = (
    "constellation image build",
    "constellation image build --profile debug -o debug-image",
    "constellation image build --target qemu-snp --firmware OVMF.amdsev.fd --cpus 2,4 --cpu-model EPYC-Milan",
    "constellation image build --container-image shop.tar --container-image registry.example/db:17=db.tar",
    "constellation image build --from-manifest packages.json",
)


def build_image(  # noqa: PLR0913, PLR0917 - options, each with a good default
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FOLDER", help="Folder of the image; default: among yours (`image list`)."
        ),
    ] = None,
    target: Annotated[str, typer.Option(metavar="VARIANT", help="What the image is for.")] = "qemu-vtpm",
    profile: Annotated[
        str, typer.Option(help="release, debug (a shell; not for secrets), emergency-access (SSH).")
    ] = "release",
    kubernetes: Annotated[str, typer.Option(metavar="VERSION", help="1.36 or 1.36.4; default: the newest.")] = "",
    key: SigningKey = None,
    container_image: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME:TAG=]FILE",
            help="Container image that pods are to find: an OCI archive or layout; may be given again.",
        ),
    ] = None,
    from_manifest: Annotated[
        Path | None, typer.Option(metavar="FILE", help="packages.json of an image: build from these very packages.")
    ] = None,
    snapshot: Annotated[
        str, typer.Option(metavar="URL", help="Archive to ask for packages that mirrors dropped.")
    ] = "",
    firmware: Firmware = None,
    cpus: Cpus = "",
    cpu_model: CpuModels = "",
    repository: Repository = None,
    mirror: Mirror = "",
    security_mirror: SecurityMirror = "",
    cache: Annotated[Path | None, typer.Option(metavar="FOLDER", help="What is kept between builds.")] = None,
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Give up after this time.")] = (
        DEFAULT_TIMEOUT
    ),
) -> None:
    """Build a node image and print the folder that it is in.

    The image is Debian with Kubernetes, containerd, our agent and all container images of the control plane; its root
    is read-only and every block of it is measured. Beside the disk lie the registers that a machine will measure,
    signed with your key (made by the first build), and a list of everything that is inside. The same checkout and
    packages give the same bytes.

    mkosi does most of it, and is fetched where this machine has none. Neither root nor a container daemon is needed.
    What was fetched before an interruption is not fetched again.
    """
    from constellation_cli.components.reporter import showing_progress
    from constellation_engine.node_image.build import ImageRequest, build, default_cache
    from constellation_engine.node_image.gather import Snapshot
    from constellation_engine.node_image.local_images import default_folder
    from constellation_engine.node_image.signing import default_key_path
    from constellation_engine.node_image.targets import Profile, Target
    from constellation_engine.services_image import find_repository

    chosen = Target.named(target)
    request = ImageRequest(
        target=chosen,
        profile=Profile.named(profile),
        kubernetes=kubernetes,
        repository=find_repository(repository),
        mirrors=chosen_mirrors(mirror, security_mirror),
        key=key or default_key_path(),
        launch=launch_inputs(firmware, cpus, cpu_model),
        from_manifest=from_manifest,
        snapshot=Snapshot(snapshot) if snapshot else None,
        cache=cache or default_cache(),
        containers=container_image or (),
    )
    place = output or default_folder() / f"{target}-{profile}"
    with showing_progress("image") as report:
        folder = build(place, request, report=report, timeout=timeout)
    sys.stdout.write(f"{folder.path}\n")
    sys.stdout.flush()
