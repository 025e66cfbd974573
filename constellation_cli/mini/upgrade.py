# SPDX-FileCopyrightText: The Constellation authors
# SPDX-License-Identifier: Apache-2.0
"""`constellation mini upgrade`: machines of the cluster boot another node image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from constellation_cli.mini.words import Workspace, workspace_folder

DEFAULT_TIMEOUT: Final = 1800.0  # seconds for each wait
DEFAULT_DRAIN: Final = 300.0
EXAMPLES: Final = (
    "constellation image build --output ./next",
    "constellation mini upgrade ./next",
    "constellation mini upgrade ./next --drain-timeout 0",
)


def upgrade_cluster(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="Folder of the node image that machines shall boot.")],
    workspace: Workspace = None,
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Give each wait so long.")] = DEFAULT_TIMEOUT,
    drain_timeout: Annotated[
        float,
        typer.Option(min=0, metavar="SECONDS", help="Give the pods of a node so long to leave it; 0 asks none to."),
    ] = DEFAULT_DRAIN,
) -> None:
    """Let the machines boot another node image, one after the other. They keep their disks, TPMs and names.

    Workers go first. Pods are asked to leave a node before its machine is switched off; when it is back it has to prove
    that it booted the new image before the next one goes. Meanwhile the cluster serves, but for the moment in which its
    only control plane boots. The image must bring the Kubernetes that the cluster has, and be signed by the same key.

    Whoever is interrupted repeats the command. Upgrading to the image of before goes back. Build the next image into a
    folder of its own: the one of before is needed until all machines have gone over.
    """
    from constellation_cli.terminal import say
    from constellation_engine.local_cluster import Workspace as Folder
    from constellation_engine.local_cluster.convergence import converge, plan_cluster
    from constellation_engine.local_cluster.desired import DesiredCluster
    from constellation_engine.node_image.image_folder import ImageFolder

    folder = Folder.open(workspace_folder(workspace)).folder
    desired = DesiredCluster(image=ImageFolder.open(image).path.resolve())
    plan = plan_cluster(folder, desired)
    if not plan.differs:
        say("upgrade", "all machines boot this image already, and the cluster is as it should be")
        return
    for name in plan.changing:
        how = f"{plan.before.get(name, 'nothing')} → {plan.after[name]}"
        is_short = "\n" not in how
        say("upgrade", f"{name}: {how if is_short else 'changes'}")
    converge(
        folder,
        desired,
        plan,
        report=lambda text: say("upgrade", text),
        timeout=timeout,
        drain_timeout=drain_timeout,
    )
    say("next", "constellation verify")
