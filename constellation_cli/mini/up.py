# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation mini up`: a confidential cluster on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from constellation_cli.mini.words import ControlPlanes, Cpus, Memory, Workers, Workspace, workspace_folder

if TYPE_CHECKING:
    from constellation_engine.local_cluster import ClusterSpec
    from constellation_engine.local_cluster import Workspace as Folder
    from constellation_engine.local_cluster.phases import Step
    from constellation_engine.node_image.image_folder import ImageFolder

DEFAULT_TIMEOUT: Final = 1800.0  # seconds for each phase
DEFAULT_STATE_DISK: Final = 8192
EXAMPLES: Final = (
    "constellation mini up",
    "constellation mini up --workers 2 --memory 4096",
    "constellation mini up --image FOLDER --workspace ./cluster",
)


def bring_up_cluster(  # noqa: PLR0913, PLR0917 - one parameter an option
    workspace: Workspace = None,
    image: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Node image; default: the one of `constellation image build`.")
    ] = None,
    control_planes: ControlPlanes = 1,
    workers: Workers = 1,
    cpus: Cpus = 2,
    memory: Memory = 3072,
    state_disk: Annotated[int, typer.Option(metavar="MIB", help="Disk of each machine; takes space as it fills.")] = (
        DEFAULT_STATE_DISK
    ),
    kubernetes: Annotated[
        str, typer.Option(metavar="VERSION", help="Refuse an image that brings another one; 1.36 or 1.36.4.")
    ] = "",
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Give each phase so long.")] = (
        DEFAULT_TIMEOUT
    ),
) -> None:
    """Bring up a confidential cluster on this machine, and print where its kubeconfig is.

    Real machines with a TPM each boot the measured node image. The first one is attested before it gets a secret, and
    lets in those that prove the same; in the end every node is verified. Without hardware that encrypts memory nothing
    of it is confidential to who runs this machine, and every verdict says so.

    Whoever is interrupted repeats the command: it goes on where it was. What this machine lacks is said before anything
    is made; `constellation doctor` says more.
    """
    from constellation_cli.terminal import say
    from constellation_engine.local_cluster import ClusterSpec, bring_up
    from constellation_engine.local_cluster.requirements import usual_image
    from constellation_engine.node_image.image_folder import ImageFolder

    chosen = ImageFolder.open(image or usual_image())
    _require_kubernetes(chosen, kubernetes)
    spec = ClusterSpec(
        image=chosen.path.resolve(),
        control_planes=control_planes,
        workers=workers,
        cpus=cpus,
        memory=memory,
        state_disk=state_disk,
    )
    cluster = _prepare(workspace_folder(workspace), spec)

    def tell(step: Step) -> None:
        say(f"{step.seconds:6.1f} s", str(step))

    bring_up(cluster, report=tell, timeout=timeout)
    say("next", f"kubectl --kubeconfig {cluster.kubeconfig} get nodes")
    sys.stdout.write(f"{cluster.kubeconfig}\n")
    sys.stdout.flush()


def _require_kubernetes(image: ImageFolder, version: str) -> None:
    from constellation_cli.errors import CommandError

    brought = image.read_build().kubernetes
    if version and version.removeprefix("v") not in (brought, brought.rpartition(".")[0]):
        raise CommandError(
            f"{image.path}: expected Kubernetes {version}, the image brings {brought}",
            hint=f"constellation image build --kubernetes {version} makes another one: name it with --image",
        )


def _prepare(folder: Path, spec: ClusterSpec) -> Folder:
    """Open the workspace, or make it; where something is missing nothing is made.

    Raises:
        WorkspaceError: the folder is of another cluster, or of something else.
        RequirementError: this machine lacks something.
    """
    from constellation_cli.terminal import say
    from constellation_engine.local_cluster import Workspace as LocalWorkspace
    from constellation_engine.local_cluster.requirements import of_cluster, require
    from constellation_engine.local_cluster.workspace import STATE_FILE

    if (folder / STATE_FILE).exists():
        LocalWorkspace.open(folder).require_same(spec)
    findings = of_cluster(spec, folder, lambda text: say("up", text))
    require(findings)
    for one in findings:
        if not one.good:
            say("up", f"{one.name}: {one.found}; {one.fix}")
    return LocalWorkspace.create(folder, spec)
